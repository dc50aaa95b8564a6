"""What a sequence layer is given: one form of every kind of input, checked before any backend."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels import Backend, Rows, Tokens
from fastlstm.kernels.rows import full_rows
from fastlstm.nn.check import as_array, check_array, check_ids
from fastlstm.nn.module import Array, Module


class Sequences(NamedTuple):
    """A checked input, and the caller's layout to answer in."""

    x: Any  # [T,N,I], a view of the caller's array; or `Tokens` with ids [T,N]
    rows: Rows
    single: bool  # the caller gave one sequence without a batch axis
    batch_first: bool  # the caller's first axes are N, T

    @property
    def dense(self) -> bool:
        """Whether x is an array and not `Tokens`."""
        return not isinstance(self.x, Tokens)

    @property
    def data(self) -> Array:
        """The array with the features: x, or the table."""
        data: Array = self.x if self.dense else self.x.table
        return data

    def buffer(self, backend: Backend, width: int) -> tuple[Array, Array]:
        """Return a new array [..., width] in the caller's layout, and its [T,N,width] view."""
        T, N = self.rows.T, self.rows.N
        if self.batch_first:
            array = backend.empty((N, T, width), self.data.dtype)
            return array, array.swapaxes(0, 1)
        array = backend.empty((T, N, width), self.data.dtype)
        return array, array

    def dx_buffer(self, backend: Backend) -> tuple[Array, Array]:
        """Return a new array for the gradient of the input, and the view a kernel writes."""
        if not self.dense:
            table = backend.empty(self.x.table.shape, self.x.table.dtype)
            return table, table
        return self.buffer(backend, self.data.shape[-1])

    def window(self, start: int, stop: int) -> Sequences:
        """Return the steps start..stop-1."""
        steps: Any = slice(start, stop)
        x = self.x[steps] if self.dense else Tokens(self.x.ids[steps], self.x.table)
        lengths = np.clip(self.rows.lengths - start, 0, stop - start)
        return self._replace(x=x, rows=Rows(stop - start, self.rows.N, lengths))

    def answer(self, array: Array) -> Array:
        """Return a result [.,N,...] without the batch axis that the caller's input lacks."""
        return array[:, 0] if self.single else array

    def read_dy(self, dy: Array | None, width: int) -> Array | None:
        """Return the [T,N,width] view of a checked gradient of y."""
        if dy is None:
            return None
        T, N = self.rows.T, self.rows.N
        shape = (T,) if self.single else (N, T) if self.batch_first else (T, N)
        dy = check_array("dy", dy, self.data.dtype, (*shape, width))
        return steps_first(dy, self.single, self.batch_first)


def read_batch(
    x: Array | Tokens,
    lengths: ArrayLike | None,
    input_size: int,
    dtype: np.dtype[Any],
    batch_first: bool,
) -> Sequences:
    """Check an input of a sequence layer; see `LSTM.__call__` for what is accepted."""
    if isinstance(x, Tokens):
        table = np.ascontiguousarray(check_array("x.table", x.table, dtype, (None, input_size)))
        # a copy: a loader that uses its buffer again must not change what backward reads
        steps = check_ids("x.ids", x.ids, len(table)).copy()
        name, axes = "x.ids", ""
    else:
        x = as_array("x", x, dtype)
        ndim = 2 if x.ndim == 2 else 3
        steps = check_array("x", x, dtype, (None,) * (ndim - 1) + (input_size,))
        name, axes = "x", f", {input_size}"
    outer = steps.ndim - (not isinstance(x, Tokens))
    if outer not in (1, 2):
        raise ValueError(f"{name} has shape {steps.shape}, expected (T, N{axes})")
    single = outer == 1
    if 0 in steps.shape[:outer]:
        raise ValueError(
            f"{name} has shape {steps.shape}, expected at least one row and at least one step"
        )
    if single and lengths is not None:
        raise ValueError(f"lengths is given, expected None as {name} has no batch axis")
    steps = steps_first(steps, single, batch_first)
    T, N = steps.shape[:2]
    rows = full_rows(T, N) if lengths is None else Rows(T, N, lengths)
    if isinstance(x, Tokens):
        ids = np.ascontiguousarray(steps, dtype=np.int64)
        return Sequences(Tokens(ids, table), rows, single, batch_first and not single)
    return Sequences(steps, rows, single, batch_first and not single)


class NotANumberError(ValueError, FloatingPointError):
    """A parameter holds NaN: wrong in a call, and in a training a sign that it diverges."""


def check_not_nan(module: Module, h_n: Array) -> None:
    """Raise NotANumberError if the last states are NaN and a parameter of `module` is the culprit.

    A NaN weight turns every state that it touches into NaN for good, so the states tell, and
    the weights need no look in the usual case. NaN from the input passes.
    """
    if np.isnan(h_n).any():
        for name, parameter in module.named_parameters():
            if np.isnan(parameter.data).any():
                raise NotANumberError(
                    f"{name} holds NaN, expected numbers (was training diverging?)"
                )


def steps_first(array: Array, single: bool, batch_first: bool) -> Array:
    if single:
        return array[:, None]
    return array.swapaxes(0, 1) if batch_first else array
