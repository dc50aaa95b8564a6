"""Holding back a part of labelled texts, the same fraction of each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .encoded import Ints


def stratified_split(
    labels: ArrayLike, fraction: float, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Divide the numbers of the texts: those kept and those held back, each in rising order.

    Parameters
    ----------
    labels : int [N], the class of each text.
    fraction : of each class held back, above 0 and below 1; but at least one text of it, and at
        least one kept.
    rng : draws them.

    Raises
    ------
    ValueError
        If the fraction is out of range, or a class has a single text.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}, expected a number between 0 and 1")
    classes = np.asarray(labels)
    held_back = np.zeros(len(classes), dtype=bool)
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        if len(rows) < 2:
            raise ValueError(f"class {label} has a single text, which cannot be divided")
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        held_back[rng.permutation(rows)[:count]] = True
    return np.flatnonzero(~held_back), np.flatnonzero(held_back)
