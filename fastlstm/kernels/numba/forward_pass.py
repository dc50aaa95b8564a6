"""Forward over a batch: buffers, threads, and what is kept for backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.call import Array, States
from fastlstm.kernels.numba.engine import Loops
from fastlstm.kernels.numba.fields import RESET, VALUES
from fastlstm.kernels.numba.layer import Layer, Work, address, aligned, places
from fastlstm.kernels.numba.maths import Maths
from fastlstm.kernels.numba.sizes import Sizes
from fastlstm.kernels.spec import CellSpec

Ints = NDArray[np.int64]
Buffers = dict[str, Array]
UNITS = ("unit_ins", "unit_outs", "mix_ins", "mix_outs")  # the first or last of `Maths.tables`


def allocate(shapes: dict[str, tuple[int, ...]], dtype: np.dtype[Any]) -> Buffers:
    return {name: aligned(shape, dtype) for name, shape in shapes.items()}


def sizes_of(layer: Layer, recompute: int) -> Sizes:
    U = 0 if layer.ids is None else len(layer.x)
    kinds = layer.weights.w_hr is not None, layer.mask is not None
    size = layer.dtype.itemsize
    return Sizes(layer.maths, layer.rows, layer.I, layer.H, layer.R, U, recompute, size, *kinds)


def states_table(layer: Layer, cells: Array) -> Ints:
    """Return the table of `fields.VALUES` for cells [states-1, n, H]."""
    table = np.zeros((len(cells), 4), np.int64)
    for j, row in enumerate(table):
        row[VALUES] = address(cells[j])
        if layer.reset is not None:
            row[RESET] = address(layer.reset.state[j + 1])
    return table


@cache
def _unit_places(maths: Maths) -> dict[str, int]:
    """Return where the lists of what forward's functions take and return lie."""
    return places(UNITS, maths.tables[:4])


@dataclass
class Tape:
    """What backward needs: buffers of all steps, or the states that every K-th step starts from."""

    cell: CellSpec  # as it was asked for
    layer: Layer
    sizes: Sizes
    loops: Loops
    buffers: Buffers = field(default_factory=dict)
    starts: list[Array] = field(default_factory=list)  # [states-1, N, H] each


class Forward:
    """Runs any of a layer's steps."""

    def __init__(self, layer: Layer, sizes: Sizes, loops: Loops, threads: int) -> None:
        self.layer, self.sizes, self.threads = layer, sizes, threads
        self._loops = loops
        self._held: Buffers = layer.packed(True, threads)
        self._held["bias"] = layer.bias()
        if layer.weights.w_hr is not None:
            self._held["zeros"] = np.zeros(layer.R, layer.dtype)
        self._work = Work(threads, sizes.block, sizes.forward_work())
        if layer.ids is not None:
            self._held["table"] = np.empty(sizes.table(), layer.dtype)
            self._multiply_tokens()

    def _records(self, more: dict[str, int], buffers: Buffers) -> Ints:
        addresses = {name: address(array) for name, array in {**self._held, **buffers}.items()}
        addresses.pop("states", None)
        more.update(chunk=self.sizes.chunk, h_0=address(self.layer.state[0]))
        fields = self.layer.fields._replace(**addresses, **more)
        return self._work.records(fields)

    def _multiply_tokens(self) -> None:
        shared, U = self.layer.shared, len(self.layer.x)
        records = self._records({}, {})
        shared.token_products(self.threads, shared.zero, records, self.sizes.block, U)

    def prepare(
        self, buffers: Buffers, s0: int, s1: int, *, keep: bool = False, again: bool = False
    ) -> Callable[[], None]:
        """Return what to call to run steps s0..s1-1 into `buffers`, which must live as long."""
        layer = self.layer
        buffers["states_after_h"] = states_table(layer, buffers["states"])
        more = {**_unit_places(layer.maths), "save": int(keep), "again": int(again)}
        more["base"] = int(layer.rows.offset[s0]) if keep else 0
        records = self._records(more, buffers)
        return partial(self._loops.forward, self.threads, layer.shared.zero, records, s0, s1)

    def run(self, buffers: Buffers, s0: int, s1: int, *, keep: bool, again: bool = False) -> None:
        """Run steps s0..s1-1 into `buffers`, keeping those of every step or of the last.

        again : y is there already, and only what backward needs is made.
        """
        self.prepare(buffers, s0, s1, keep=keep, again=again)()


def first_states(layer: Layer, buffers: Buffers) -> None:
    """Write the states before the first step, sorted."""
    for cells, state in zip(buffers["states"], layer.state[1:], strict=True):
        np.take(state, layer.rows.order, axis=0, out=cells[: layer.rows.N])


def last_states(layer: Layer, buffers: Buffers, keep: bool) -> States:
    """Return each row's last states; make y zero past each row's end."""
    rows, lengths = layer.rows, layer.rows.lengths
    n = np.arange(rows.N)
    h_n = layer.state[0].copy()
    ran = n[lengths > 0]
    h_n[ran] = layer.y[0 if layer.reverse else lengths[ran] - 1, ran]
    at = n
    if keep:
        at = np.where(layer.lengths > 0, rows.N + rows.offset[layer.lengths - 1] + n, n)
    others = []
    for cells in buffers["states"]:
        state = np.empty_like(cells[: rows.N])
        state[rows.order] = cells[at]
        others.append(state)
    clear_ends(layer.y, lengths)
    return h_n, *others


def clear_ends(array: Array, lengths: Ints) -> None:
    """Write zeros past the lengths of the rows of an array [T,N,...]."""
    for n in np.flatnonzero(lengths < len(array)):
        array[lengths[n] :, n] = 0
