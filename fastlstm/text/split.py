"""Holding back the same fraction of each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.text.encoded import Ints


def stratified_split(
    labels: ArrayLike, fraction: float, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Return the numbers of the texts to keep and of those to hold back, each in rising order.

    `labels`, int [N], are the classes of the texts. Of each class the fraction is held back, but at
    least one text, and at least one is kept. Raises ValueError if the fraction is not between 0 and
    1, or a class has a single text.
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
