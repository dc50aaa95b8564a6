"""The output folder of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from fastlstm.files.json_value import read_json
from fastlstm.files.opening import reading
from fastlstm.files.writing import write_json
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.output_folder import OutputFolder
from fastlstm.train.record import typed

SECONDS = 60.0
NUMBERS = (
    "test_accuracy", "validation_accuracy", "train_seconds", "passes", "parameters",
    "words_per_second", "threads", "best_epoch",
)  # fmt: skip
TYPES: dict[str, Any] = {  # of a model in compare.json
    **dict.fromkeys(("name", "title"), str), **dict.fromkeys(NUMBERS, float),
    "curve": list[tuple[float, float]],
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a comparison depends on: the options of all nets and the budget of each.

    `seconds` of training, or 0 for ``config.epochs`` epochs.
    """

    config: Config
    seconds: float = SECONDS


class ComparisonFolder(OutputFolder):
    """A run in a sub-folder for each model, and what compares them.

    A folder with ``compare.json`` holds a comparison; the file tells whether it is finished.
    """

    FILES = ("compare.png", "compare.json")
    NOUN = "comparison"
    NAMES = frozenset(("finished", "seconds", "models", "config", "reviews"))

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.picture, self.json = (self.path / name for name in self.FILES)

    @property
    def finished(self) -> bool:
        return self.holds_run and bool(self.read()["finished"])

    def run(self, name: str) -> RunFolder:
        """Return the sub-folder of a model."""
        return RunFolder(self.path / name)

    def begin(self, names: Sequence[str]) -> None:
        """Remove the files of an earlier comparison of the models `names`."""
        self.check_own()
        parts = [self.run(name) for name in names]
        for part in parts:
            part.check_own()
        for part in parts:
            part.clear()
        self.clear()
        self.path.mkdir(parents=True, exist_ok=True)

    def write(self, plan: Plan, reviews: int, models: list[dict[str, Any]], finished: bool) -> None:
        """Write ``compare.json``; `reviews` is their fingerprint, `models` are results so far."""
        about = {"config": plan.config.to_json(), "reviews": reviews}
        what = {"finished": finished, "seconds": plan.seconds, "models": models, **about}
        write_json(self.json, what)

    def read(self) -> dict[str, Any]:
        """Return ``compare.json``, with its options as a `Plan` under "plan".

        Raises ValueError, which names the file, if it is damaged or of another version.
        """
        with reading(self.json, "is damaged or of another version"):
            value = read_json(self.json)
            plan = Plan(Config.from_json(value["config"]), float(value["seconds"]))
            models = [_checked(model) for model in list(value["models"])]
            kept = {name: value[name] for name in ("finished", "reviews")}
            return {"plan": plan, "models": models, **kept}

    def result(self, name: str, title: str) -> dict[str, Any]:
        """Return the results of a finished sub-folder, an entry of ``models``.

        "curve" has a pair of training seconds and validation accuracy for each measurement.
        """
        folder = self.run(name)
        metrics = folder.read_metrics()
        curve = [[metrics["train_seconds"], metrics["validation_accuracy"]]]
        epochs = folder.read_epochs()
        if epochs:
            seconds = accumulate(epoch.seconds for epoch in epochs)
            curve = [
                [second, epoch.validation_accuracy]
                for second, epoch in zip(seconds, epochs, strict=True)
            ]
        found = {"name": name, "title": title, "curve": curve}
        found |= {k: metrics[k] for k in NUMBERS if k in metrics}
        with reading(folder.metrics):
            return _checked(found)


def _checked(model: Any) -> dict[str, Any]:
    """Return an entry of ``models``; ValueError if a part of it is not of its type."""
    if not isinstance(model, dict):
        raise ValueError(f"a model is {model!r:.60}, expected an object")
    for name, kind in TYPES.items():
        typed(kind, model.get(name), name)
    return model
