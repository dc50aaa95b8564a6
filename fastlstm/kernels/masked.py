"""Masked arrays of NumPy, whose masks `numpy.asarray` drops without a word."""

from __future__ import annotations

from typing import Any

import numpy as np


def refuse_masked(name: str, value: Any) -> None:
    """Raise ValueError if an array, or one of those in a list, masks some of its values.

    What stands below a mask is no number that anybody meant.
    """
    if isinstance(value, (list, tuple)):
        for n, one in enumerate(value):
            if isinstance(one, np.ma.MaskedArray):
                refuse_masked(f"{name}[{n}]", one)
    elif isinstance(value, np.ma.MaskedArray):
        count = int(np.ma.getmaskarray(value).sum())
        if count:
            raise ValueError(
                f"{name} masks {count:,} of its values, expected all of them: leave these out, or "
                "give numbers in their place, as .filled(0) does"
            )
