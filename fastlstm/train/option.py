"""Options of runs as fields of a dataclass: with help, a type and the values they can have."""

from __future__ import annotations

import math
from dataclasses import Field, field
from typing import Any

import numpy as np

from fastlstm.train.record import ADDED

LARGEST = 2**63 - 1  # whole number accepted as a float
MOST = 2**31 - 1  # default limit of a whole number
TINY = math.ulp(0.0)  # smallest float above 0


def option(
    default: Any, help: str, *, low: float = -math.inf, high: float = math.inf,
    below: float = math.inf, choices: tuple[str, ...] = (), type: type = str, added: bool = False,
) -> Any:  # fmt: skip
    """Describe a field of options: numbers have a range, words may have choices.

    `added` says that files of earlier versions do not have it; see `train.record`.
    """
    kind = type if default is None else default.__class__
    if kind is int:
        high = MOST if high == math.inf else high
    about = {"help": help, "low": low, "high": high, "below": below, "type": kind}
    more = ADDED if added else {}
    return field(default=default, metadata={**about, "choices": choices, **more})


def checked(item: Field[Any], value: Any) -> Any:
    """Return the value of an option in its type, or raise an error that names the option."""
    about = item.metadata
    kind = about["type"]
    if isinstance(value, np.generic):
        value = value.item()
    if kind is tuple and isinstance(value, list):
        value = tuple(value)
    if value is None and item.default is None:
        return value
    if kind is float and type(value) is int and abs(value) < LARGEST:
        value = float(value)
    if type(value) is not kind:
        raise TypeError(f"{item.name} is {value!r}, expected {kind.__name__}")
    if about["choices"] and value not in about["choices"]:
        raise ValueError(f"{item.name} is {value!r}, expected one of {', '.join(about['choices'])}")
    if kind in (int, float):
        low, high, below = about["low"], about["high"], about["below"]
        if not (low <= value <= high and value < below):
            raise ValueError(f"{item.name} is {value!r:.30}, expected {_range(low, high, below)}")
    return value


def _range(low: float, high: float, below: float) -> str:
    text = "more than 0" if low == TINY else f"at least {low:g}"
    if high < math.inf:
        return f"{text} and at most {high:.0f}"
    return f"{text} and below {below:g}" if below < math.inf else f"{text} and finite"
