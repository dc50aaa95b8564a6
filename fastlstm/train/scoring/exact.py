"""Sums that depend neither on the order of the numbers nor on the pieces they come in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BITS = 53  # of the significand of a float64
LOW = 26  # of them apart from the others: a piece's sum of either part fits 64 bits
LEAST = -1200  # a power of 2 below that of the last bit of any float64


class ExactSum:
    """The sum of float64 numbers, kept as a whole number and rounded once, when it is asked for."""

    def __init__(self) -> None:
        self._total = 0  # in units of 2**LEAST
        self._not_finite = 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        """Add numbers [N], fewer than 2**36; the sum with one that is not finite is none either."""
        finite = np.isfinite(values)
        if not finite.all():
            self._not_finite += float(values[~finite].sum())
            values = values[finite]
        parts, powers = np.frexp(values)
        whole = np.ldexp(parts, BITS).astype(np.int64)
        for power in np.unique(powers).tolist():
            chosen = whole[powers == power]
            high, low = int((chosen >> LOW).sum()), int((chosen & ((1 << LOW) - 1)).sum())
            self._total += ((high << LOW) + low) << (power - BITS - LEAST)

    def __float__(self) -> float:
        if self._not_finite:
            return self._not_finite
        return self._total / (1 << -LEAST)  # of whole numbers: rounded right
