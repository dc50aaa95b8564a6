"""One layer in one direction and its batch: checked arrays, sizes, packed weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlstm.kernels.numba_backend.call import TABLES, Call
from fastlstm.kernels.numba_backend.engine import shared
from fastlstm.kernels.numba_backend.maths import Maths
from fastlstm.kernels.numba_backend.memory import empty
from fastlstm.kernels.numba_backend.tile import panel_width, panels_of
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.spec import DTYPES, Array, Reset, States, Tokens, Weights

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


def check(name: str, array: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return an array after checking its dtype and shape."""
    if array.dtype != dtype:
        raise TypeError(f"{name} has dtype {array.dtype}, expected {dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    return array


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
        self.dtype = weights.w_hh.dtype
        if self.dtype not in DTYPES:
            raise TypeError(f"w_hh has dtype {self.dtype}, expected float32 or float64")
        self.shared = shared(self.dtype)
        self._set_weights(weights)
        self._set_input(x)
        T, N, H, R = rows.T, rows.N, self.H, self.R
        self.y = check("y", y, self.dtype, (T, N, R))
        sizes = (R, *[H] * (len(maths.states) - 1))
        names = [f"state[{i}]" for i in range(len(sizes))]
        if len(state) != len(sizes):
            raise ValueError(f"state has {len(state)} entries, expected {len(sizes)}")
        self.state = self._states(names, state, sizes)
        self.reset = reset and Reset(
            np.ascontiguousarray(check("reset.mask", reset.mask, np.dtype(bool), (T, N))),
            self._states([f"reset.{name}" for name in names], reset.state, sizes),
        )
        self.lengths: Ints = rows.lengths[rows.order]
        self.steps = (rows.order, self.lengths, rows.n_at, rows.offset)

    def _states(self, names: list[str], state: States, sizes: tuple[int, ...]) -> States:
        return tuple(
            readable(check(name, part, self.dtype, (self.rows.N, size)), 2)
            for name, part, size in zip(names, state, sizes, strict=True)
        )

    def _set_weights(self, weights: Weights) -> None:
        maths, G = self.maths, len(self.maths.gates)
        self.H, self.R = int(weights.w_hh.shape[0]) // G, int(weights.w_hh.shape[1])
        self.I = int(weights.w_ih.shape[1])
        H, R, dtype = self.H, self.R, self.dtype
        self.w_ih = readable(check("w_ih", weights.w_ih, dtype, (G * H, self.I)), 2)
        self.w_hh = readable(check("w_hh", weights.w_hh, dtype, (G * H, R)), 2)
        self.biases = (weights.b_ih, weights.b_hh)
        for name, bias in zip(("b_ih", "b_hh"), self.biases, strict=True):
            if bias is not None:
                check(name, bias, dtype, (G * H,))
        self.w_hr = weights.w_hr
        if self.w_hr is not None:
            if not maths.projects:
                raise ValueError(f"w_hr is given, expected None: {maths.name} has no projection")
            self.w_hr = readable(check("w_hr", self.w_hr, dtype, (R, H)), 2)
        elif R != H:
            raise ValueError(f"w_hh has shape {weights.w_hh.shape}, expected ({G * H}, {H})")
        params = weights.params if isinstance(weights, CellWeights) else ()
        if len(params) != len(maths.params):
            raise ValueError(f"weights has {len(params)} params, expected {len(maths.params)}")
        named = zip(maths.params, params, strict=True)
        self.params = np.zeros((len(params), H), dtype)
        for row, (name, param) in zip(self.params, named, strict=True):
            row[:] = check(name, param, dtype, (H,))

    def _set_input(self, x: Array | Tokens) -> None:
        T, N = self.rows.T, self.rows.N
        self.ids: Ints | None = None
        if not isinstance(x, Tokens):
            self.x = readable(check("x", x, self.dtype, (T, N, self.I)))
            return
        self.ids = check("ids", x.ids, np.dtype(np.int64), (T, N))
        self.x = readable(check("table", x.table, self.dtype, (len(x.table), self.I)), 2)
        alive = np.arange(T)[:, None] < self.rows.lengths
        wrong = np.argwhere(((self.ids < 0) | (self.ids >= len(self.x))) & alive)
        if len(wrong):
            t, n = (int(i) for i in wrong[0])
            raise IndexError(f"ids[{t}, {n}] is {self.ids[t, n]}, expected 0 to {len(self.x) - 1}")

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
