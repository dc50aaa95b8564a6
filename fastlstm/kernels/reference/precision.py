"""The products of every precision in plain NumPy: their definition.

A product takes a weight [G,K] and rows [n,K] to ``weight @ row`` of each row, [n,G]:

float32   of both as they are, which may also be of float64.
bfloat16  of both rounded to bfloat16, summed in float32; in backward likewise. What forward keeps
          for backward is rounded too, and so are the gradients of gates: see `keep` and `rounded`.
int8      of both rounded to whole numbers -127..127, each row by a scale of its own, summed
          exactly; the sum times both scales is rounded to float32. It has no backward.

Slow on purpose: every float product is made row by row, because a BLAS matrix product may round
one row differently when its neighbours change, and a row's result must not depend on them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.call import Array, States, Weights
from fastlstm.kernels.spec import CellSpec

LARGEST = np.float32(127)
# The smallest largest number of a row in int8; a row below it counts as zeros. Processors may be
# told to flush subnormal numbers: from here on those are less than half a level, and so 0 as well.
SMALLEST = np.float32(2.0**-118)
FINER = 4  # bits


def to_bfloat16(a: Array) -> Array:
    """Return float32 numbers rounded to the nearest of bfloat16, ties to even; still float32.

    These are the numbers of float32 whose last 16 bits are zero. NaN stays NaN; a number above
    the largest becomes infinity.
    """
    return _rounded(a, 0)


def _rounded(a: Array, more: int) -> Array:
    """Return what `to_bfloat16` does, of so many bits more."""
    a = np.ascontiguousarray(a, np.float32)
    dropped = 16 - more
    bits = a.view(np.uint32)
    nearest = bits >> np.uint32(dropped)
    nearest &= np.uint32(1)
    nearest += np.uint32((1 << dropped - 1) - 1)
    nearest += bits
    nearest &= np.uint32(-(1 << dropped) & 0xFFFFFFFF)
    rounded: Array = nearest.view(np.float32)
    np.copyto(rounded, a, where=np.isnan(a))
    return rounded


def keep_sigmoid(s: Array, more: int = 0) -> Array:
    """Return sigmoids as bfloat16 keeps them: above a half by their distance to 1.

    Near 1 bfloat16 has steps of 2^-8: a forget gate of 0.999 would be kept as 1, or as 0.996, and
    of its 200th power half be lost. `more` bits than those of bfloat16 are kept.
    """
    kept: Array = np.where(s > 0.5, 1 - _rounded(1 - s, more), _rounded(s, more))
    return kept


class Quantized(NamedTuple):
    """Rows of whole numbers, and what they stand for: ``q * scale``."""

    q: NDArray[np.int8]  # [...,n,K], -127..127
    scale: Array  # float32 [...,n]; NaN of a row that holds NaN or infinity, 0 of one of zeros


@np.errstate(all="ignore")
def quantize(rows: Array, floor: float = 0.0) -> Quantized:
    """Round float32 rows [...,n,K] to int8.

    A row's largest magnitude, or `floor` if that is more, becomes 127: rows whose numbers have a
    bound all get the scale of the bound, so that it need not be looked for.
    """
    most = np.maximum(np.abs(rows).max(axis=-1, initial=0), np.float32(floor))
    finite, counts = np.isfinite(most), most >= SMALLEST
    factor = np.where(finite & counts, LARGEST / most, np.float32(0))
    scale = np.where(counts, most / LARGEST, np.float32(0))
    scale[~finite] = np.nan
    q = np.where(finite[..., None], rows, np.float32(0)) * factor[..., None]
    return Quantized(np.rint(q).astype(np.int8), scale)


@np.errstate(all="ignore")
def int8_product(weight: Quantized, rows: Quantized) -> Array:
    """Return ``weight @ row`` [...,n,G] of each row; float64 sums of such integers are exact.

    Where the product of both scales is subnormal, a backend may take it for zero.
    """
    sums = rows.q.astype(np.float64) @ weight.q.swapaxes(-1, -2).astype(np.float64)
    scales = weight.scale[..., None, :] * rows.scale[..., :, None]
    product: Array = sums.astype(np.float32) * scales
    return product


class Bfloat16:
    """A weight [G,K] whose products are those of bfloat16."""

    def __init__(self, weight: Array) -> None:
        self._weight = to_bfloat16(weight)

    def __getitem__(self, rows: slice) -> Bfloat16:
        return Bfloat16(self._weight[rows])

    @property
    def T(self) -> Bfloat16:
        return Bfloat16(self._weight.T)

    def by_row(self, x: Array) -> Array:
        return _by_row(self._weight, to_bfloat16(x))

    def rounded(self, dz: Array) -> Array:
        return to_bfloat16(dz)

    def gradient(self, dz: Array, x: Array) -> Array:
        gradient: Array = to_bfloat16(dz).T @ to_bfloat16(x)
        return gradient


class Int8:
    """A weight [G,K] whose products are those of int8; `floor` is that of what it meets."""

    def __init__(self, weight: Array | Quantized, floor: float) -> None:
        self._weight = weight if isinstance(weight, Quantized) else quantize(weight)
        self._floor = floor

    def __getitem__(self, rows: slice) -> Int8:
        return Int8(Quantized(*(part[rows] for part in self._weight)), self._floor)

    def by_row(self, x: Array) -> Array:
        return int8_product(self._weight, quantize(x, self._floor))


def by_row(weight: Array | Bfloat16 | Int8, x: Array) -> Array:
    """Return ``weight @ x[n]`` for each row n: [G,K], [n,K] -> [n,G]."""
    if isinstance(weight, np.ndarray):
        return _by_row(weight, x)
    return weight.by_row(x)


def rounded(weight: Array | Bfloat16, dz: Array) -> Array:
    """Return the gradients of gates as they are left for the sums over steps."""
    return dz if isinstance(weight, np.ndarray) else weight.rounded(dz)


def gradient(weight: Array | Bfloat16, dz: Array, x: Array) -> Array:
    """Return the gradient [G,K] of the weight, of what it made of x [n,K] given that, dz [n,G]."""
    if isinstance(weight, np.ndarray):
        d: Array = dz.T @ x
        return d
    return weight.gradient(dz, x)


def _by_row(weight: Array, x: Array) -> Array:
    product: Array = np.matmul(weight, np.ascontiguousarray(x)[:, :, None])
    return product[:, :, 0]


def keep(
    cell: CellSpec, kept: tuple[Array, ...], finely: tuple[str, ...] = ()
) -> tuple[Array, ...]:
    """Return what a step has kept for backward, its gates first, as bfloat16 keeps it.

    Of the sigmoids named in `finely` it keeps `FINER` more bits.
    """
    names = (*cell.gates, *[""] * (len(kept) - len(cell.gates)))
    return tuple(
        keep_sigmoid(a, FINER * (name in finely)) if name in cell.sigmoids else to_bfloat16(a)
        for name, a in zip(names, kept, strict=True)
    )


def keep_states(states: States) -> States:
    """Return the states before or after a step likewise: h is among the outputs, as it is."""
    return (states[0], *map(to_bfloat16, states[1:]))


def with_precision(cell: CellSpec, weights: Weights, precision: str) -> Weights:
    """Return the weights with matrices whose products, made by `by_row`, have the precision."""
    if precision == "float32":
        return weights
    known = 1.0 if cell.bounded else 0.0  # of h before a projection
    floors = {"w_ih": 0.0, "w_hh": known if weights.w_hr is None else 0.0, "w_hr": known}
    made: dict[str, Any] = {}
    for name, floor in floors.items():
        weight = getattr(weights, name)
        if weight is not None:
            made[name] = Bfloat16(weight) if precision == "bfloat16" else Int8(weight, floor)
    return weights._replace(**made)
