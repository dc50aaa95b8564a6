"""A parameter: an array to be learned, its gradient, and what may take its place."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.call import DTYPES, Array
from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import as_array, check_array, check_flag, check_ids, first


class RowGrad(NamedTuple):
    """Gradient of the few rows of a table that a batch touched.

    Attributes
    ----------
    index : int64 [U], strictly increasing row numbers.
    value : float [U, D], the gradient of each of those rows.
    """

    index: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.index, which nobody needs
    value: Array


class Parameter:
    """An array to be learned and its gradient.

    Parameters
    ----------
    data : float32 or float64 array. Kept, and copied only if it is not C-contiguous.

    Attributes
    ----------
    data : the values; change them in place or assign an array of the same shape and dtype.
    grad : same shape and dtype as `data`; made on first use, filled with zeros.
    rows : `RowGrad` or None; set instead of `grad` by layers whose gradient is row-sparse.
    trainable : whether it is learned; if not, optimizers and averages made afterwards leave it
        alone, as torch's ``requires_grad = False``.
    """

    __slots__ = ("_data", "_frozen", "_grad", "rows")

    def __init__(self, data: Array) -> None:
        array = any_array("data", data)
        if array.dtype not in DTYPES:
            raise TypeError(f"data has dtype {array.dtype}, expected float32 or float64")
        self._data: Array = np.require(np.atleast_1d(array), requirements=["C", "A"])
        self._grad: Array | None = None
        self._frozen = False
        self.rows: RowGrad | None = None

    @property
    def trainable(self) -> bool:
        return not getattr(self, "_frozen", False)  # which pickles of earlier versions lack

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._frozen = not check_flag("trainable", value)

    @property
    def data(self) -> Array:
        return self._data

    @data.setter
    def data(self, value: Array) -> None:
        array = _alike("data", any_array("data", value), self._data)
        self._data = np.require(array, requirements=["C", "A"])

    @property
    def grad(self) -> Array:
        if self._grad is None:
            self._grad = np.zeros_like(self._data)
        return self._grad

    @property
    def has_grad(self) -> bool:
        """Whether a gradient (dense or of rows) was ever stored since the last `zero_grad`."""
        return self._grad is not None or self.rows is not None

    def zero_grad(self) -> None:
        """Forget the gradient: zero the dense one in place, drop the rows."""
        if self._grad is not None:
            self._grad[...] = 0
        self.rows = None

    def add_rows(self, index: NDArray[np.int64], value: Array) -> None:
        """Add a row-sparse gradient: `value` [U, ...] to the rows `index` [U], which increase.

        TypeError, ValueError or IndexError says what does not fit.
        """
        index = check_ids("index", index, len(self._data), 1).astype(np.int64)  # a copy
        if (index[1:] <= index[:-1]).any():
            raise ValueError("index does not increase, expected each row once and in order")
        shape = (len(index), *self._data.shape[1:])
        value = check_array("value", value, self._data.dtype, shape)
        if self.rows is None:
            self.rows = RowGrad(index, value)
            return
        merged = np.union1d(self.rows.index, index)
        total = np.zeros((len(merged), *self._data.shape[1:]), self._data.dtype)
        for part in (self.rows, RowGrad(index, value)):
            total[np.searchsorted(merged, part.index)] += part.value
        self.rows = RowGrad(merged, total)

    def __repr__(self) -> str:
        return f"Parameter(shape={self._data.shape}, dtype={self._data.dtype})"


def in_place_of(now: Parameter, where: str, value: Any) -> Parameter:
    """Return the parameter to stand where `now` does: one that fits, or `now` with new values.

    Those of an array are copied: whoever else has `now` (an optimizer, a tied module) sees them.
    """
    if isinstance(value, Parameter):
        _alike(where, value.data, now.data)
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    now.data[...] = fitting(where, as_array(where, value, now.data.dtype), now.data)
    return now


def _alike(name: str, array: Array, like: Array) -> Array:
    """Return `array` after checking that it has the shape and dtype of `like`."""
    if array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}, "
            f"expected {like.shape} and {like.dtype}"
        )
    return array


def fitting(name: str, value: Any, like: Array) -> Array:
    """Return an array or a torch tensor as an array of the shape and dtype of `like`."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array: Array = any_array(name, value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    if array.shape != like.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {like.shape}")
    with np.errstate(over="ignore"):
        array = array.astype(like.dtype, copy=False)
    check_finite(name, array)
    return array


def check_writable(name: str, parameter: Parameter) -> None:
    """Raise ValueError if the values of a parameter cannot be changed in place."""
    if not parameter.data.flags.writeable:
        raise ValueError(
            f"{name} is a read-only array, expected one to write to: assign a copy to its .data"
        )


def check_finite(name: str, value: Array) -> None:
    """Raise ValueError if `value` holds NaN or infinity, naming where."""
    finite = np.isfinite(value)
    if not finite.all():
        raise ValueError(f"{first(name, value, ~finite)}, expected finite numbers")
