"""Ten known recurrent models with random weights, written compactly after their papers.

One to a file, which has `TASKS`: what is done with the model. `tasks` puts them together.
T steps, N batch rows, K kinds of what is told apart, elsewhere as in `fastlstm`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.models.task import Task

# Title in the table -> file
MODELS = {
    "text reader": "crnn",
    "tagger": "tagger",
    "speaker segmenter": "segmenter",
    "noise suppressor": "suppressor",
    "transducer": "transducer",
    "speech decoder": "tacotron",
    "anomaly autoencoder": "autoencoder",
    "forecaster": "forecaster",
    "recurrent policy": "policy",
    "character model": "characters",
}


def tasks() -> dict[str, Task]:
    """Return all tasks by name: a model's title and whether it is trained.

    Raises
    ------
    ImportError
        If there is no torch.
    """
    return {
        f"{title}, {'training' if task.trains else 'inference'}": task
        for title, file in MODELS.items()
        for task in import_module(f"benchmarks.models.{file}").TASKS
    }
