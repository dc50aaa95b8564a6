"""``metrics.json`` read back: what other commands show of it is of its type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastlstm.text.json_value import read_json
from fastlstm.train.record import is_number

# What the metrics of every version have, those of a bag of words as well.
REQUIRED = (
    "test_accuracy", "validation_accuracy", "train_seconds", "words_per_second", "best_epoch",
    "threads", "parameters", "data",
)  # fmt: skip


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
    for name, value in metrics.items():
        fits, expected = KINDS.get(name, (_is_number, "a number"))
        if not fits(value):
            raise ValueError(f"{name} is {value!r:.60}, expected {expected}")
    return metrics


def _is_number(value: object) -> bool:
    return value is None or is_number(value)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _by_label(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _is_time(value: object) -> bool:
    return is_number(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


Kind = tuple[Callable[[object], bool], str]
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("data", "isa", "backend", "version"), (_is_text, "a text")),
    **dict.fromkeys(("best_epoch", "epochs", "threads", "parameters"), (_is_count, "a count")),
    **dict.fromkeys(("train_seconds", "words_per_second"), (_is_time, "a number")),
    "labels": (_are_texts, "a list of texts"),
    "epoch_seconds": (_are_numbers, "a list of numbers"),
    "test_f1": (_by_label, "a number for each class"),
    "data_complete": (_is_flag, "true or false"),
}
