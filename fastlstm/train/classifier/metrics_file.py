"""``metrics.json`` read back: what other commands show of it is of its type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastlstm.text.json_value import read_json
from fastlstm.train.record import typed

# What the metrics of every version have, those of a bag of words as well.
REQUIRED = (
    "test_accuracy", "validation_accuracy", "train_seconds", "words_per_second", "best_epoch",
    "threads", "parameters", "data",
)  # fmt: skip

NUMBER = float | None  # what a metric is if nothing else is said
TYPES: dict[str, Any] = {
    **dict.fromkeys(("data", "isa", "backend", "version"), str),
    **dict.fromkeys(("best_epoch", "epochs", "threads", "parameters"), int),
    **dict.fromkeys(("train_seconds", "words_per_second"), float),
    "labels": list[str],
    "epoch_seconds": list[NUMBER],
    "test_f1": dict[str, NUMBER],
    "data_complete": bool,
}


def read_metrics(path: Path) -> dict[str, Any]:
    """Read the file.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is damaged; names it.
    """
    try:
        return _checked(read_json(path))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _checked(metrics: Any) -> dict[str, Any]:
    if not isinstance(metrics, dict):
        raise ValueError("it is no object")
    missing = [name for name in REQUIRED if name not in metrics]
    if missing:
        raise ValueError(f"it has no {missing[0]}")
    return {name: typed(TYPES.get(name, NUMBER), value, name) for name, value in metrics.items()}
