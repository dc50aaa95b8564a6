"""One layer in one direction and its batch: checked arrays, sizes, packed weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlstm.kernels.arguments import plain, read_arguments
from fastlstm.kernels.numba_backend.call import TABLES, Call
from fastlstm.kernels.numba_backend.engine import shared
from fastlstm.kernels.numba_backend.maths import Maths
from fastlstm.kernels.numba_backend.memory import empty
from fastlstm.kernels.numba_backend.tile import panel_width, panels_of
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.spec import Array, Reset, States, Tokens, Weights

Ints = NDArray[np.int64]
LINE = 64  # bytes


class CellWeights(Weights):
    """`Weights` of a cell with parameters of its own, or their gradients.

    Attributes
    ----------
    params : [H] each, in the order of `Maths.params`.
    """

    params: tuple[Array, ...]

    def __new__(cls, *weights: Array | None, params: tuple[Array, ...] = ()) -> CellWeights:
        self = super().__new__(cls, *weights)  # type: ignore[arg-type]  # as `Weights` checks
        self.params = params
        return self


def readable(array: Array, axes: int = 1) -> Array:
    """Return an array whose last axes are contiguous, a copy if it must be one."""
    expected, size = array.itemsize, array.flags.aligned
    for n, stride in zip(array.shape[: -axes - 1 : -1], array.strides[::-1], strict=False):
        size = size and (n == 1 or stride == expected)
        expected *= n
    return array if size else np.array(array, order="C")


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return an uninitialised array that starts with a cache line, as vectors want it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = empty((size + LINE,), np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def address(array: Array | None) -> int:
    return 0 if array is None else array.ctypes.data


class Layer:
    """What forward was called with; backward reads it again."""

    def __init__(
        self,
        maths: Maths,
        x: Array | Tokens,
        state: States,
        weights: Weights,
        rows: Rows,
        y: Array,
        reverse: bool,
        reset: Reset | None,
    ) -> None:
        self.maths, self.rows, self.reverse = maths, rows, reverse
        given = read_arguments(maths, x, state, weights, rows, y, reset)
        self.I, self.H, self.R, self.dtype = given.I, given.H, given.R, given.dtype
        self.shared = shared(self.dtype)
        self.weights = given.weights  # as given, which gradients are compared with
        self.w_ih, self.w_hh = readable(given.weights.w_ih, 2), readable(given.weights.w_hh, 2)
        self.biases = (given.weights.b_ih, given.weights.b_hh)
        w_hr = given.weights.w_hr
        self.w_hr = None if w_hr is None else readable(w_hr, 2)
        self._set_params(weights)
        self.tokens = given.x if isinstance(given.x, Tokens) else None
        self.ids: Ints | None = None if self.tokens is None else self.tokens.ids
        self.x = readable(given.x) if self.tokens is None else readable(self.tokens.table, 2)
        self.y = given.y
        self.state = tuple(readable(part, 2) for part in given.state)
        self.reset = given.reset and Reset(
            np.ascontiguousarray(given.reset.mask),
            tuple(readable(part, 2) for part in given.reset.state),
        )
        self.lengths: Ints = rows.lengths[rows.order]
        self.steps = (rows.order, self.lengths, rows.n_at, rows.offset)

    def _set_params(self, weights: Weights) -> None:
        names = self.maths.params
        params = weights.params if isinstance(weights, CellWeights) else ()
        if len(params) != len(names):
            raise ValueError(f"weights has {len(params)} params, expected {len(names)}")
        self.params = np.zeros((len(params), self.H), self.dtype)
        for row, name, param in zip(self.params, names, params, strict=True):
            row[:] = plain(name, param, self.dtype, (self.H,))

    def call(self) -> Call:
        """Return the fields that forward and backward share."""
        maths, H, size = self.maths, self.H, self.dtype.itemsize
        strides = self.x.strides
        if self.ids is None:
            given = {"x_t": strides[0], "x_n": strides[1]}
        else:
            ids = self.ids.strides
            given = {"x_n": strides[0], "ids": address(self.ids), "ids_t": ids[0], "ids_n": ids[1]}
        if self.reset is not None:
            given.update(reset=address(self.reset.mask), reset_h=address(self.reset.state[0]))
        return Call(
            product=self.shared.product,
            N=self.rows.N,
            I=self.I,
            H=H,
            R=self.R,
            reverse=int(self.reverse),
            x=address(self.x),
            y=address(self.y),
            y_t=self.y.strides[0],
            y_n=self.y.strides[1],
            h_0=address(self.state[0]),
            projects=int(self.w_hr is not None),
            params=address(self.params),
            z_row=maths.slots * H * size,
            x_columns=len(maths.gates) * H,
            h_at=maths.h_slot * H * size,
            h_columns=len(maths.h_gates) * H,
            late_columns=len(maths.late) * H,
            products=maths.products * H,
            takes_h=int(maths.takes_h),
            **given,
        )

    def rows_of_gates(self, weight: Array, gates: tuple[str, ...]) -> Array:
        """Return the rows of some gates in that order; the weight itself if those are all."""
        if gates == self.maths.gates:
            return weight
        by_gate = weight.reshape(len(self.maths.gates), self.H, *weight.shape[1:])
        index = [self.maths.gates.index(gate) for gate in gates]
        return np.ascontiguousarray(by_gate[index].reshape(-1, *weight.shape[1:]))

    def bias(self) -> Array:
        """Return what the products start from, [products * H]."""
        maths = self.maths
        total = np.zeros((maths.products, self.H), self.dtype)
        x_slots = {gate: slot for slot, gate in enumerate(maths.x_gates)}
        h_slots = {gate: maths.h_slot + slot for slot, gate in enumerate(maths.h_gates)}
        h_slots.update((gate, x_slots[gate]) for gate in maths.late)
        for bias, to in zip(self.biases, (x_slots, h_slots), strict=True):
            if bias is not None:
                for gate, part in zip(maths.gates, bias.reshape(-1, self.H), strict=True):
                    total[to[gate]] += part
        return total.ravel()

    def pack(self, weight: Array, transposed: bool, threads: int) -> Array:
        """Return a weight [J,K] as the B of a product: [K,J] if transposed, else itself."""
        J, K = weight.shape
        if transposed:
            steps, sizes = weight.strides[::-1], (K, J)
        else:
            steps, sizes = weight.strides, (J, K)
        size = self.dtype.itemsize
        columns = panels_of(sizes[1], size) * panel_width(size)
        packed = aligned((sizes[0] * columns,), self.dtype)
        self.shared.pack(
            threads, self.shared.zero, address(weight), *steps, *sizes, address(packed)
        )
        return packed

    def packed(self, transposed: bool, threads: int, dx: bool = True) -> dict[str, Array]:
        """Return all packed weights by their names in `Call`: transposed for forward."""
        maths = self.maths
        weights = {"w_h": self.rows_of_gates(self.w_hh, maths.h_gates)}
        if dx:
            weights["w_x"] = self.rows_of_gates(self.w_ih, maths.x_gates)
        if maths.late:
            weights["w_late"] = self.rows_of_gates(self.w_hh, maths.late)
        if self.w_hr is not None:
            weights["w_proj"] = self.w_hr
        return {name: self.pack(w, transposed, threads) for name, w in weights.items()}


class Work:
    """Memory of each thread's own."""

    def __init__(self, threads: int, rows: int, n_bytes: int) -> None:
        self._numbers = aligned((threads, -(-n_bytes // LINE) * LINE), np.uint8)
        # Of each thread, in one more row, the address of its memory.
        self.memory = np.empty((threads, TABLES + 1, max(rows, 64)), np.int64)
        for of_thread, numbers in zip(self.memory, self._numbers, strict=True):
            of_thread[TABLES] = address(numbers)
