"""Random numbers where the rows of a batch may be shared out among processes.

`shared_draws` is loaded by those that share: it needs `numpy.random`, which others load when they
draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastlstm.nn.module import Array

if TYPE_CHECKING:
    from fastlstm.nn.shared_draws import SharedDraws


def as_shared(rng: Any) -> SharedDraws | None:
    """Return a generator that is a `SharedDraws`; None for another one, and for none."""
    return rng if hasattr(rng, "axis_of_rows") else None


def rows_first(rng: Any) -> Any:
    """Return what to draw from for arrays [N,...] of more than two axes: `rng` as a rule."""
    shared = as_shared(rng)
    return rng if shared is None else shared.along(0)


def uniform(rng: np.random.Generator, shape: tuple[int, ...], each: bool = True) -> Array:
    """Return float32 numbers from 0 to 1; `each` says whether the rows of a batch have their own.

    What belongs to no row, as a mask of weights, is the same in all processes.
    """
    shared = as_shared(rng) if each else None
    axis = shared.axis_of_rows(shape) if shared else None
    if shared is None or axis is None:
        return rng.random(shape, np.float32)
    whole = (*shape[:axis], shared.count, *shape[axis + 1 :])
    return np.take(rng.random(whole, np.float32), shared.rows, axis)
