"""Masked arrays of NumPy, whose masks `numpy.asarray` drops without a word."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def is_masked(value: Any) -> bool:
    """Whether a value is a masked array.

    Who has one has loaded numpy.ma: the first call of everybody else would take 13 ms longer by it.
    """
    ma = sys.modules.get("numpy.ma")
    return ma is not None and isinstance(value, ma.MaskedArray)


def refuse_masked(name: str, value: Any) -> None:
    """Raise ValueError if an array, or one of those in a list, masks some of its values.

    What stands below a mask is no number that anybody meant.
    """
    if isinstance(value, (list, tuple)):
        for n, one in enumerate(value):
            if is_masked(one):
                refuse_masked(f"{name}[{n}]", one)
    elif is_masked(value):
        count = int(np.ma.getmaskarray(value).sum())
        if count:
            raise ValueError(
                f"{name} masks {count:,} of its values, expected all of them: leave these out, or "
                "give numbers in their place, as .filled(0) does"
            )
