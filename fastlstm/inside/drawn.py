"""What the picture and the page of a text have in common."""

from __future__ import annotations

import numpy as np

from fastlstm.inside.collect import Float64
from fastlstm.nn.module import Array

SIGNED = ("g", "n", "c", "h")
MEANING = {
    "i": "input gate i",
    "f": "forget gate f",
    "g": "candidate g",
    "o": "output gate o",
    "r": "reset gate r",
    "z": "update gate z",
    "n": "candidate n",
    "c": "cell c",
    "h": "output h",
}


def value_range(name: str, value: Array) -> tuple[float, float]:
    """Return what the ends of the colours stand for."""
    if name not in SIGNED:
        return 0.0, 1.0
    # A few units far out would leave no colour for all others.
    most = max(1.0, float(np.quantile(np.abs(value), 0.99)))
    return -most, most


def stacked(below: Float64, above: Float64) -> Float64:
    """Return where the upper of two bars begins: at the end of the lower, if both go one way."""
    return np.where(below * above > 0, below, 0.0)
