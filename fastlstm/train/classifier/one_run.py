"""Whether the files of a folder are of one run.

A file of arrays tells the options of its run and a checksum of its words; ``config.json`` and
``vocab.json`` beside it must have the same, or the arrays would be taken for something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastlstm.text import Vocabulary
from fastlstm.train.checkpoint import CheckpointError, check_same
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import fingerprint

KEY = "run"
WORDS = "the words"


def note_of_run(config: Config, vocab: Vocabulary) -> dict[str, Any]:
    """Return, for the note of a file, what tells its run from another one.

    Not the options that may change when it is resumed or extended.
    """
    options = config.to_json().items()
    free = {*config.free_options, "epochs"}
    kept = {name: value for name, value in options if name not in free}
    return {KEY: {**kept, WORDS: fingerprint([vocab.analyzer, *vocab.words], [])}}


def check_one_run(path: Path, note: Mapping[str, Any], config: Config, vocab: Vocabulary) -> None:
    """Raise CheckpointError if the file at `path`, which has that note, is of another run.

    A file of an earlier version does not tell; an option that only one version has is no
    difference.
    """
    told = note.get(KEY, {})
    if not isinstance(told, Mapping):
        raise CheckpointError(f"{path} is damaged: its run is {told!r:.60}, expected an object")
    own = note_of_run(config, vocab)[KEY]
    check_same(path, told, own, own.keys() & told.keys())
