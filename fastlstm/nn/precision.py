"""The precision of a module's products: the option, and products of those that have no kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.arguments import check_precision
from fastlstm.nn.module import Array, Module
from fastlstm.runtime import get_num_threads


class Precise(Module):
    """A module with products, whose precision is an option that may be changed at any time.

    Attributes
    ----------
    precision : "float32", "bfloat16" or "int8"; see `LSTM`.
    """

    dtype: np.dtype[Any]
    precision: str = "float32"  # also of what was pickled before there was a choice

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "precision":
            value = self._read_precision(value)
        super().__setattr__(name, value)

    def _read_precision(self, value: Any) -> str:
        """Return `value` after checking that the products can be made so."""
        cell = getattr(self, "_cell", None)
        check_precision(value, self.dtype, save=False, cell=cell)
        return str(value)

    def _check_trains(self) -> None:
        """Raise ValueError in a precision that has no backward pass."""
        check_precision(self.precision, self.dtype, save=True)


def set_everywhere(modules: Mapping[str, Any], precision: str) -> None:
    """Set the precision of modules, by name: of all of them, or of none if one refuses it."""
    before = [(module, module.precision) for module in modules.values()]
    for name, module in modules.items():
        try:
            module.precision = precision
        except ValueError as error:
            for changed, value in before:
                changed.precision = value
            raise ValueError(f"{name}: {error}" if name else str(error)) from None


# Multiply-adds of a product of float32 above which OpenBLAS, which NumPy's wheels come with, shares
# it among threads of its own. They spin for 30 ms after it, on the cores of the kernels: a training
# step beside them is as slow as on one thread. On one thread the kernels are as fast from there on;
# below, and for a single row, which they would not pack twice, NumPy is faster.
SHARED = 1 << 18


def is_for_kernels(a: Array, b: Array) -> bool:
    """Whether the compiled kernels are to make ``a @ b^T``, of the axes that `products` takes."""
    (n, K), m = a.shape[-2:], b.shape[-2]
    if min(n, m) == 1 or n * m * K <= SHARED or not a.dtype == b.dtype == np.float32:
        return False
    return kernels.default_backend() == "native"


def products(
    a: Array,
    b: Array,
    precision: str,
    bias: Array | None = None,
    *,
    out: Array | None = None,
    add: bool = False,
) -> Array:
    """Return ``a @ b^T + bias`` of the rows of a [...,n,K] and of b [...,m,K], at most three axes.

    With `out`, C-contiguous, the result is written to it, or added to what it holds.
    """
    if precision != "float32" or is_for_kernels(a, b):
        options: dict[str, Any] = {"precision": precision, "out": out, "add": add}
        return kernels.backend().matmul(a, b, bias, n_threads=get_num_threads(), **options)
    made: Array = np.matmul(a, b.swapaxes(-1, -2), out=None if add else out)
    if bias is not None:
        made += bias
    if out is not None and add:
        out += made
        return out
    return made
