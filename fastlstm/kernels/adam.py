"""A step of Adam: its record, and the check that every backend reads it with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.arguments import plain
from fastlstm.kernels.call import DTYPES, Array


class WeightSum(NamedTuple):
    """A running sum of weights: ``sum = keep sum + add p``, in the rows that a step changes.

    Attributes
    ----------
    sum : like the weights p.
    keep, add : [U], one for each of these rows; [1] where all of p is changed.
    """

    sum: Array
    keep: Array
    add: Array


class AdamNumbers(NamedTuple):
    """The numbers of a step of Adam.

    ``m = beta1 m + (1 - beta1) g``, v likewise with g squared, ``p -= rate m / (root sqrt(v) +
    eps)``: bias corrections are part of rate and root. First p is multiplied by `shrink` (AdamW)
    and g by `scale` (clipping), then ``decay p`` is added to g (Adam's weight decay).
    """

    rate: float
    root: float
    eps: float
    beta1: float
    beta2: float
    shrink: float = 1.0
    decay: float = 0.0
    scale: float = 1.0
    n_threads: int = 1


NONE = AdamNumbers(0.0, 0.0, 0.0, 0.0, 0.0)  # where only the arrays of a step are looked at


class AdamStep(NamedTuple):
    """One step of Adam, in place, on all of p or on its rows `index`.

    Attributes
    ----------
    p, m, v : arrays of one shape, [R,D] with index; changed.
    g : like p, or [U,D] with index.
    index : int64 [U], distinct rows of p; or None.
    total : brought up to date before p changes; None for no average.
    """

    p: Array
    m: Array
    v: Array
    g: Array
    index: NDArray[np.int64] | None  # type: ignore[assignment]  # hides tuple.index
    numbers: AdamNumbers
    total: WeightSum | None = None


class LoopedAdam:
    """Arrays (p, m, v, g) of one dtype, for steps of all: one after the other.

    What `Backend.adam_group` returns; its results are those of `Backend.adam` for each. Arrays are
    referred to. TypeError or ValueError if some do not fit, or are not contiguous.
    """

    def __init__(self, adam: Callable[[AdamStep], None], arrays: Sequence[Sequence[Array]]) -> None:
        self._adam, self._arrays = adam, [tuple(four) for four in arrays]
        for p, m, v, g in self._arrays:
            read_adam(AdamStep(p, m, v, g, None, NONE))

    def step(self, numbers: AdamNumbers) -> None:
        """Take one step of all."""
        for p, m, v, g in self._arrays:
            self._adam(AdamStep(p, m, v, g, None, numbers))


def read_adam(step: AdamStep) -> tuple[Any, ...]:
    """Return what a kernel takes: p, m, v, g, index, the numbers up to scale, total, n_threads.

    Arrays have been checked; with an index they are [R,D] and g [U,D], else flat.

    Raises
    ------
    TypeError, ValueError
        If one does not fit the others, or would have to be copied to be changed in place.
    IndexError
        If a row is not one of p.
    """
    p, m, v, g, index, (*numbers, n_threads), total = step
    dtype = np.dtype(getattr(p, "dtype", object))
    if dtype not in DTYPES:
        raise TypeError(f"p is of {dtype}, expected an array of float32 or float64")
    changed = {"p": p, "m": m, "v": v} | ({} if total is None else {"total.sum": total.sum})
    for name, array in changed.items():
        changed[name] = array = plain(name, array, dtype, np.shape(p))
        if not array.flags.c_contiguous:
            raise ValueError(f"{name} has strides {array.strides}, expected contiguous axes")
    rows = None if index is None else _read_index(index, len(p))
    each = np.shape(p) if rows is None else (len(rows), *np.shape(p)[1:])
    changed["g"] = np.ascontiguousarray(plain("g", g, dtype, each))
    width = math.prod(np.shape(p)[1:])
    found = {
        name: array.reshape(-1) if rows is None else array.reshape(len(array), width)
        for name, array in changed.items()
    }
    if total is not None:
        terms = (1,) if rows is None else rows.shape
        keep, add = (
            np.ascontiguousarray(plain(f"total.{name}", term, dtype, terms))
            for name, term in (("keep", total.keep), ("add", total.add))
        )
        total = WeightSum(found["total.sum"], keep, add)
    return found["p"], found["m"], found["v"], found["g"], rows, *numbers, total, n_threads


def _read_index(index: Any, R: int) -> NDArray[np.int64]:
    rows = np.ascontiguousarray(plain("index", np.asarray(index), np.dtype(np.int64), (None,)))
    wrong = np.flatnonzero((rows < 0) | (rows >= R))
    if len(wrong):
        raise IndexError(f"index[{wrong[0]}] is {rows[wrong[0]]}, expected 0 to {R - 1}")
    return rows
