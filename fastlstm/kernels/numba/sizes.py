"""How much memory a call takes: what is allocated, and what `memory` answers, from one place."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from fastlstm.kernels.numba.cells import maths_of
from fastlstm.kernels.numba.fields import TABLES, Fields
from fastlstm.kernels.numba.gradients import BLOCK, WORK_BYTES
from fastlstm.kernels.numba.maths import Maths
from fastlstm.kernels.numba.precision import check_float32
from fastlstm.kernels.numba.product import SPARE_BYTES
from fastlstm.kernels.numba.tile import panel_width, panels_of
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.sizes import CallSizes, MemoryUse, check_sizes
from fastlstm.kernels.spec import CellSpec


@dataclass(frozen=True)
class Sizes:
    """Shapes of the buffers of one layer in one direction; U tokens or 0, K of recompute or 0."""

    maths: Maths
    rows: Rows
    I: int
    H: int
    R: int
    U: int
    K: int
    itemsize: int
    projects: bool
    masked: bool

    @property
    def chunk(self) -> int:
        """Steps whose input products are made together: enough rows for full tiles, and for the
        input weight to be read seldom if it is large.
        """
        large = len(self.maths.gates) * self.H * self.I * self.itemsize > 512 << 10
        return max(1, min(self.rows.T, (192 if large else 48) // self.rows.N))

    @property
    def block(self) -> int:
        """Rows that a thread has addresses of at a time."""
        return max(BLOCK, self.rows.N * self.chunk)

    def run(self, rows: int, keep: bool) -> dict[str, tuple[int, ...]]:
        """Shapes of what a run of steps writes, `rows` of them in all; see `fields.Fields`."""
        N, H, maths = self.rows.N, self.H, self.maths
        each = rows if keep else N
        shapes: dict[str, tuple[int, ...]] = {
            "z": (rows if keep else N * self.chunk, maths.slots * H),
            "states": (len(maths.states) - 1, N + rows if keep else N, H),
        }
        if maths.mix is not None:
            shapes["mixed"] = (each, H)
        if self.masked:
            shapes["masked"] = (each, self.R)
        if self.projects:
            shapes["projected"] = (each, H)
        return shapes

    def segment(self) -> int:
        """Rows of the steps that are kept at a time."""
        return int(self.rows.offset[min(self.K, self.rows.T)]) if self.K else self.rows.total

    def backward(self) -> dict[str, tuple[int, ...]]:
        """Shapes of backward's own buffers; see `fields.Fields`."""
        N, H, maths = self.rows.N, self.H, self.maths
        shapes: dict[str, tuple[int, ...]] = {
            "dh": (N, self.R),
            "d_states": (len(maths.states) - 1, N, H),
            "zeros": (max(self.I, H, self.R),),
        }
        if maths.mix is not None:
            shapes["dmixed"] = (N, H)
            shapes["dkept"] = (N, len(maths.mix_keeps) * H)
            shapes["dmix"] = (N, len(maths.states) * H)
        if self.masked:
            shapes["dmasked"] = (N, self.R)
        if self.projects:
            shapes["dm"] = (N, H)
            shapes["dprojected"] = (self.segment(), self.R)
        if self.U:
            shapes["dtable"] = (self.U, len(maths.gates) * H)
        return shapes

    def sums(self) -> dict[str, tuple[int, int]]:
        """Features and columns of each sum over the steps."""
        maths, H = self.maths, self.H
        columns = len(maths.gates) * H
        if self.U or maths.split or maths.late:
            sums = {"x": (self.I, columns), "hidden": (self.R, len(maths.h_gates) * H)}
        else:  # x and h meet the same columns: these are packed once
            sums = {"both": (self.I + self.R, columns)}
        if maths.late:
            sums["late"] = (H, len(maths.late) * H)
        if self.projects:
            sums["projection"] = (H, self.R)
        if maths.params:
            sums["parameters"] = (0, len(maths.params) * H)
        return sums

    def sum_shape(self, features: int, columns: int) -> tuple[int, int, int]:
        """Panels, features (and one more for the columns' own sum) and width of a sum."""
        return panels_of(columns, self.itemsize), features + 1, panel_width(self.itemsize)

    def packed(self, transposed: bool, dx: bool) -> int:
        """Elements of all packed weights."""
        maths, H, R = self.maths, self.H, self.R
        shapes = [(len(maths.h_gates) * H, R)]
        if dx:
            shapes.append((len(maths.gates) * H, self.I))
        if maths.late:
            shapes.append((len(maths.late) * H, H))
        if self.projects:
            shapes.append((R, H))
        turned = ((k, j) if transposed else (j, k) for j, k in shapes)
        width = panel_width(self.itemsize)
        return sum(k * panels_of(j, self.itemsize) * width for k, j in turned)

    def products(self) -> int:
        """Elements of the weights whose rows are put in the order of the products, and biases."""
        maths, G = self.maths, len(self.maths.gates) * self.H
        moved = G * (self.I + self.R) if maths.split or maths.late else 0
        return moved + maths.products * self.H + len(maths.params) * self.H + self.R

    def table(self) -> tuple[int, int]:
        """Shape of the products of the distinct tokens."""
        return self.U, self.maths.products * self.H

    def forward_work(self) -> int:
        """Bytes of a thread's own memory in forward."""
        return SPARE_BYTES + self.H * self.itemsize

    def tables(self, threads: int) -> int:
        """Bytes of the threads' tables of addresses and of their records, the old and the new."""
        return threads * (len(TABLES) * self.block + 2 * len(Fields._fields)) * 8


def memory(cell: CellSpec, sizes: CallSizes) -> MemoryUse:
    """Bytes of arrays that a forward that saves and its backward (with dx) take.

    What is at work comes on top of what is kept. Python's own objects are not counted.
    """
    check_sizes(cell, sizes)
    check_float32(sizes.precision)
    rows, I, H, proj, tokens, mask, recompute, dtype, n_threads, _ = sizes
    maths, size, R = maths_of(cell), np.dtype(dtype).itemsize, proj or H
    s = Sizes(maths, rows, I, H, R, tokens, recompute, size, bool(proj), bool(mask))
    threads = min(n_threads, rows.N)
    states = rows.N * sum(cell.state_sizes(H, R))
    indices = 8 * 8 * rows.N
    lists = indices + s.tables(threads)
    inside = size * (s.packed(True, dx=True) + s.products() + prod(s.table()))
    inside += lists + threads * (s.forward_work() + 64)
    kept = _count(s.run(rows.total, keep=True)) + states
    forward = inside + size * 2 * states
    backward = size * (s.packed(False, dx=True) + _count(s.backward()) + 2 * states)
    backward += lists + threads * (WORK_BYTES + 64)
    backward += 8 * prod(s.backward().get("dtable", (0,)))
    backward += sum(2 * (size + 8) * prod(s.sum_shape(*shape)) for shape in s.sums().values())
    if recompute:
        kept = states + -(-rows.T // recompute) * (states - rows.N * R)
        forward += size * _count(s.run(0, keep=False))
        backward += inside + size * _count(s.run(s.segment(), keep=True))
    return MemoryUse(size * kept + indices, forward, backward)


def _count(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(map(prod, shapes.values()))
