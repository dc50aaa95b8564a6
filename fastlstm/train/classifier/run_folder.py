"""The output folder of a run: its files and how they are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from fastlstm.files.json_value import parse_json, read_json
from fastlstm.files.opening import read_text, reading
from fastlstm.files.writing import write_file, write_json
from fastlstm.train.checkpoint import crc32_of
from fastlstm.train.classifier.config import ADDED, Config
from fastlstm.train.history import Epoch, History
from fastlstm.train.output_folder import OutputFolder
from fastlstm.train.record import record, typed

# In the metrics of every version, also of a bag of words.
REQUIRED = (
    "test_accuracy", "validation_accuracy", "train_seconds", "words_per_second", "best_epoch",
    "threads", "parameters", "data",
)  # fmt: skip

NUMBER = float | None  # type of a metric that is not in TYPES
TYPES: dict[str, Any] = {
    **dict.fromkeys(
        ("data", "isa", "backend", "precision", "version", "vectors", "from_run", "from_model"), str
    ),
    **dict.fromkeys(
        (
            "best_epoch",
            "epochs",
            "threads",
            "processes",
            "parameters",
            "vectors_found",
            "model_crc32",
        ),
        int,
    ),
    **dict.fromkeys(("train_seconds", "words_per_second"), float),
    "labels": list[str],
    "epoch_seconds": list[NUMBER],
    "test_f1": dict[str, NUMBER],
    "data_complete": bool,
}


class RunFolder(OutputFolder):
    """Paths and plain files of a run.

    A folder with ``config.json`` holds a run. With ``metrics.json`` the run is finished, and the
    checkpoints are gone.
    """

    FILES = (
        "metrics.json", "metrics.jsonl", "vocab.json", "trained_texts.safetensors",
        "model.safetensors", "curves.png", "checkpoint.safetensors", "pretraining.safetensors",
        "config.json",
    )  # fmt: skip
    NAMES = frozenset(item.name for item in fields(Config)) - ADDED.keys()

    draws = True
    """Whether the run gets a picture of its curves."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        files = [self.path / name for name in self.FILES]
        self.metrics, self.metrics_lines, self.vocab, self.trained_texts, self.model = files[:5]
        self.curves, self.checkpoint, self.pretraining, self.config = files[5:]

    @property
    def finished(self) -> bool:
        return self.metrics.exists()

    def stamp(self) -> tuple[int, int] | None:
        """Return what tells this run from another in its place; None if it is gone.

        A run writes its options only once, where it begins or is extended.
        """
        try:
            found = self.config.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def begin(self, options: dict[str, Any]) -> None:
        """Start a new run: remove the files of an earlier one, write ``config.json``."""
        if not self.writes:
            return
        self.clear()
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.config, options)

    def check_own(self) -> None:
        """Raise FileExistsError if files here or in a teacher's folder are not of a run."""
        super().check_own()
        for teacher in self._teachers():
            teacher.check_own()

    def clear(self) -> None:
        """Remove the files of a run and of its teachers, and no others."""
        if not self.writes:
            return
        self.check_own()
        for teacher in self._teachers():
            teacher.clear()
            with suppress(OSError):  # not empty
                teacher.path.rmdir()
        super().clear()

    def _teachers(self) -> Iterator[RunFolder]:
        return (RunFolder(path) for path in self.path.glob("teacher-*") if path.is_dir())

    def write_history(self, history: History) -> None:
        """Write ``metrics.jsonl``, a line for each finished epoch."""
        if not self.writes:
            return
        lines = [json.dumps(asdict(epoch), allow_nan=False) + "\n" for epoch in history.epochs]
        write_file(self.metrics_lines, "".join(lines).encode())

    def finish(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """Write ``metrics.json``, which ends the run, and remove the checkpoints; return it.

        It also tells the checksum of the model, by which `read_metrics` knows another run's.
        """
        if not self.writes:
            return metrics
        if self.model.exists():  # of a bag of words none is kept
            metrics = {**metrics, "model_crc32": crc32_of(self.model)}
        write_json(self.metrics, metrics)
        self.checkpoint.unlink(missing_ok=True)
        self.pretraining.unlink(missing_ok=True)
        return metrics

    def read_metrics(self) -> dict[str, Any]:
        """Return ``metrics.json`` of a finished run.

        Raises ValueError, which names the file, if it is damaged or of another run than the model
        beside it; those of earlier versions do not tell.
        """
        with reading(self.metrics, way=self.WITHOUT_METRICS):
            metrics = read_json(self.metrics)
            if not isinstance(metrics, dict):
                raise ValueError("it is no object")
            missing = [name for name in REQUIRED if name not in metrics]
            if missing:
                raise ValueError(f"it has no {missing[0]}")
            metrics = {k: typed(TYPES.get(k, NUMBER), value, k) for k, value in metrics.items()}
        self._check_model(metrics.get("model_crc32"))
        return metrics

    def _check_model(self, told: int | None) -> None:
        if told is not None and self.model.exists() and told != crc32_of(self.model):
            way = self.WITHOUT_METRICS and f"; {self.WITHOUT_METRICS}"
            raise ValueError(f"{self.metrics} is of another run than {self.model.name}{way}")

    def read_epochs(self) -> list[Epoch]:
        """Return the finished epochs; ValueError names ``metrics.jsonl`` if it is damaged."""
        path = self.metrics_lines
        if not path.exists():
            return []
        with reading(path):
            return [record(Epoch, parse_json(line)) for line in read_text(path).splitlines()]
