"""What many layers are given: a batch for each, checked before any backend."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels import Backend
from fastlstm.kernels.rows import Int64Array, any_integers
from fastlstm.nn.check import as_array, check_array, first
from fastlstm.nn.module import Array


class Batches(NamedTuple):
    """A checked input of all models, and the caller's layout to answer in."""

    x: Array  # [M,T,N,I], a view of the caller's array
    lengths: Int64Array | None  # [M,N]
    single: bool  # the caller gave one sequence for each model, without a batch axis
    batch_first: bool  # the caller's axes are M, N, T

    def buffer(self, backend: Backend, width: int) -> tuple[Array, Array]:
        """Return a new array [M,...,width] in the caller's layout, and its [M,T,N,width] view."""
        M, T, N = self.x.shape[:3]
        if self.batch_first:
            array = backend.empty((M, N, T, width), self.x.dtype)
            return array, array.swapaxes(1, 2)
        array = backend.empty((M, T, N, width), self.x.dtype)
        return array, array

    def answer(self, array: Array) -> Array:
        """Return a result [M,.,N,...] without the batch axis that the caller's input lacks."""
        return array[:, :, 0] if self.single else array

    def read_dy(self, dy: Array | None, width: int) -> Array | None:
        """Return the [M,T,N,width] view of a checked gradient of y."""
        if dy is None:
            return None
        M, T, N = self.x.shape[:3]
        axes = (T,) if self.single else (N, T) if self.batch_first else (T, N)
        dy = check_array("dy", dy, self.x.dtype, (M, *axes, width))
        return _steps_first(dy, self.single, self.batch_first)


def read_batches(x: Any, lengths: ArrayLike | None, M: int, like: Any) -> Batches:
    """Check an input of M layers like one of them; see `Together.__call__`."""
    x = as_array("x", x, like.dtype)
    ndim = 3 if x.ndim == 3 else 4
    x = check_array("x", x, like.dtype, (M, *(None,) * (ndim - 2), like.input_size))
    if 0 in x.shape:
        raise ValueError(f"x has shape {x.shape}, expected at least one row and at least one step")
    single = ndim == 3
    if single and lengths is not None:
        raise ValueError("lengths is given, expected None as x has no batch axis")
    batch_first = like.batch_first and not single
    x = _steps_first(x, single, batch_first)
    if lengths is not None:
        lengths = read_lengths(lengths, M, *x.shape[1:3])
    return Batches(x, lengths, single, batch_first)


def read_lengths(lengths: ArrayLike, M: int, T: int, N: int) -> Int64Array:
    """Return lengths [M,N], or [N] of all models, as a copy int64 [M,N]."""
    array = any_integers("lengths", lengths)
    if array.shape not in ((N,), (M, N)):
        raise ValueError(f"lengths has shape {array.shape}, expected ({N},) or ({M}, {N})")
    outside = (array < 0) | (array > T)
    if outside.any():
        raise ValueError(f"{first('lengths', array, outside)}, expected 0 to {T} (the steps of x)")
    return np.broadcast_to(array.astype(np.int64, order="C"), (M, N))


def _steps_first(array: Array, single: bool, batch_first: bool) -> Array:
    if single:
        return array[:, :, None]
    return array.swapaxes(1, 2) if batch_first else array
