"""The precision of a module's products: the option, and products of those that have no kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastlstm.kernels.arguments import check_precision
from fastlstm.nn.module import Array, Module


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
        check_precision(value, self.dtype, save=False)
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


def rounded(a: Array, precision: str) -> Array:
    """Return a factor of a float product as the precision sees it: `a` itself in float32."""
    if precision == "float32":
        return a
    from fastlstm.kernels.reference.precision import to_bfloat16  # most never need it

    return to_bfloat16(a)


def products(a: Array, b: Array, precision: str) -> Array:
    """Return ``a @ b^T`` [...,n,m] of the rows of a [...,n,K] and of b [...,m,K]."""
    if precision == "int8":
        from fastlstm.kernels.reference.precision import int8_product, quantize

        return int8_product(quantize(b), quantize(a))
    product: Array = np.matmul(rounded(a, precision), rounded(b, precision).swapaxes(-1, -2))
    return product
