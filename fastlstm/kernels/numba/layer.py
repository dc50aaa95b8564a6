"""One layer in one direction and its batch: checked arrays, sizes, packed weights."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlstm.kernels.arguments import read_call
from fastlstm.kernels.call import Array, Call, Reset, Tokens
from fastlstm.kernels.numba.engine import shared
from fastlstm.kernels.numba.fields import TABLES, Fields
from fastlstm.kernels.numba.maths import Maths
from fastlstm.kernels.numba.memory import empty
from fastlstm.kernels.numba.precision import check_float32
from fastlstm.kernels.numba.tile import panel_width, panels_of

Ints = NDArray[np.int64]
LINE = 64  # bytes


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
    start = -address(memory) % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def address(array: Array | None) -> int:
    if array is None:
        return 0
    at: int = array.__array_interface__["data"][0]  # in half the time of array.ctypes.data
    return at


class Layer:
    """What forward was called with; backward reads it again."""

    def __init__(self, maths: Maths, call: Call) -> None:
        self.maths, self.given = maths, read_call(maths, call)
        given = self.given
        check_float32(given.precision)
        self.rows, self.reverse, self.y = given.rows, given.reverse, given.y
        self.I, self.H, self.R = given.weights.sizes()
        self.dtype = given.y.dtype
        self.shared = shared(self.dtype)
        self.weights = given.weights.map(lambda w: readable(w, w.ndim))
        self.params = np.array(self.weights.params, self.dtype).reshape(-1, self.H)
        self.ids: Ints | None = None
        if isinstance(given.x, Tokens):
            self.ids, self.x = given.x.ids, readable(given.x.table, 2)
        else:
            self.x = readable(given.x)
        self.state = tuple(readable(part, 2) for part in given.state)
        self.mask = None if given.mask is None else readable(given.mask, 2)
        self.reset = given.reset and Reset(
            np.ascontiguousarray(given.reset.mask),
            tuple(readable(part, 2) for part in given.reset.state),
        )
        self.lengths: Ints = self.rows.lengths[self.rows.order]

    @cached_property
    def fields(self) -> Fields:
        """The fields that forward and backward share."""
        maths, H, size = self.maths, self.H, self.dtype.itemsize
        strides = self.x.strides
        if self.ids is None:
            given = {"x_t": strides[0], "x_n": strides[1]}
        else:
            ids = self.ids.strides
            given = {"x_n": strides[0], "ids": address(self.ids), "ids_t": ids[0], "ids_n": ids[1]}
        if self.reset is not None:
            given.update(reset=address(self.reset.mask), reset_h=address(self.reset.state[0]))
        if self.mask is not None:
            given.update(mask=address(self.mask))
        return Fields(
            product=self.shared.product,
            order=address(self.rows.order),
            length=address(self.lengths),
            n_at=address(self.rows.n_at),
            offset=address(self.rows.offset),
            n_states=len(maths.states) - 1,
            T=self.rows.T,
            N=self.rows.N,
            I=self.I,
            H=H,
            R=self.R,
            reverse=int(self.reverse),
            x=address(self.x),
            y=address(self.y),
            y_t=self.y.strides[0],
            y_n=self.y.strides[1],
            projects=int(self.weights.w_hr is not None),
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
        maths, weights = self.maths, self.weights
        total = np.zeros((maths.products, self.H), self.dtype)
        for bias, slots in zip((weights.b_ih, weights.b_hh), maths.bias_slots, strict=True):
            if bias is not None:
                total[slots] += bias.reshape(-1, self.H)
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
        """Return all packed weights by their names in `Fields`: transposed for forward."""
        maths = self.maths
        weights = {"w_h": self.rows_of_gates(self.weights.w_hh, maths.h_gates)}
        if dx:
            weights["w_x"] = self.rows_of_gates(self.weights.w_ih, maths.x_gates)
        if maths.late:
            weights["w_late"] = self.rows_of_gates(self.weights.w_hh, maths.late)
        if self.weights.w_hr is not None:
            weights["w_proj"] = self.weights.w_hr
        return {name: self.pack(w, transposed, threads) for name, w in weights.items()}


def places(names: tuple[str, ...], tables: tuple[Ints, ...]) -> dict[str, int]:
    """Return the fields of some lists of the cell."""
    found = {name: address(table) for name, table in zip(names, tables, strict=True)}
    return {**found, **{f"n_{n}": len(table) for n, table in zip(names, tables, strict=True)}}


# The fields of `Work`: they stand side by side.
OWN = ("thread", "threads", "work", *TABLES)
FIRST = Fields._fields.index(OWN[0])
assert Fields._fields[FIRST : FIRST + len(OWN)] == OWN


class Work:
    """Memory of each thread's own."""

    def __init__(self, threads: int, rows: int, n_bytes: int) -> None:
        self._numbers = aligned((threads, -(-n_bytes // LINE) * LINE), np.uint8)
        self._tables = np.empty((threads, len(TABLES), max(rows, 64)), np.int64)
        first, numbers = address(self._tables), address(self._numbers)
        of_thread, of_table = self._tables.strides[:2]
        self._own = []
        for thread in range(threads):
            at = first + thread * of_thread
            tables = range(at, at + of_thread, of_table)
            self._own.append((thread, threads, numbers + thread * len(self._numbers[0]), *tables))

    def records(self, fields: Fields) -> Ints:
        """Return the fields of each thread [threads, fields], for compiled code."""
        records = np.empty((len(self._own), len(fields)), np.int64)
        records[:] = fields
        records[:, FIRST : FIRST + len(OWN)] = self._own
        return records
