"""Recurrent dropout in plain NumPy: its definition."""

from __future__ import annotations

from typing import Any

from fastlstm.kernels.call import Array
from fastlstm.kernels.reference.precision import by_row, gradient, rounded


class Masked:
    """A weight [G,R], in any precision, that meets ``mask * x`` in place of rows x [n,R]."""

    def __init__(self, weight: Any, mask: Array) -> None:
        self.weight, self.mask = weight, mask

    def __getitem__(self, rows: slice) -> Masked:
        return Masked(self.weight[rows], self.mask)

    @property
    def T(self) -> _Transposed:
        return _Transposed(self.weight.T, self.mask)

    def by_row(self, x: Array) -> Array:
        return by_row(self.weight, self.mask * x)

    def rounded(self, dz: Array) -> Array:
        return rounded(self.weight, dz)

    def gradient(self, dz: Array, x: Array) -> Array:
        return gradient(self.weight, dz, self.mask * x)


class _Transposed:
    """What takes gradients back through a `Masked` weight."""

    def __init__(self, weight: Any, mask: Array) -> None:
        self._weight, self._mask = weight, mask

    def by_row(self, dz: Array) -> Array:
        dx: Array = self._mask * by_row(self._weight, dz)
        return dx


def met(weight: Any, x: Array) -> Array:
    """Return what a weight meets of x, to be kept for the gradient of `unmasked` weights."""
    return weight.mask * x if isinstance(weight, Masked) else x


def unmasked(weight: Any) -> Any:
    """Return the weight without its mask."""
    return weight.weight if isinstance(weight, Masked) else weight
