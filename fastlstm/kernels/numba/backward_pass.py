"""Backward over a batch: step gradients, then those of the input and the weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.arguments import read_gradients
from fastlstm.kernels.call import Array, Gradients, States, Weights
from fastlstm.kernels.numba import gradients
from fastlstm.kernels.numba.fields import D_RESET, D_STATE, Fields
from fastlstm.kernels.numba.forward_pass import (
    UNITS,
    Buffers,
    Forward,
    Tape,
    allocate,
    clear_ends,
    states_table,
)
from fastlstm.kernels.numba.layer import Work, address, places, readable
from fastlstm.kernels.numba.maths import Maths

Ints = NDArray[np.int64]
KINDS = {
    "x": gradients.X,
    "hidden": gradients.HIDDEN,
    "both": gradients.BOTH,
    "late": gradients.LATE,
    "projection": gradients.PROJECTION,
    "parameters": gradients.PARAMETERS,
}


@cache
def _unit_places(maths: Maths) -> dict[str, int]:
    """Return where the lists of what backward's functions take and return lie."""
    return places((*UNITS, "mix_adds"), maths.tables[4:])


class Backward:
    """One run backward over the batch of a tape."""

    def __init__(self, tape: Tape, given: Gradients, threads: int) -> None:
        self.tape, self.threads, self.add_dx = tape, threads, given.accumulate_dx
        self.layer, self.sizes = tape.layer, tape.sizes
        layer = self.layer
        given = read_gradients(layer.maths, layer.given, given)
        self._dy = None if given.dy is None else readable(given.dy)
        self._dx = dx = given.dx
        if dx is not None:
            if not (dx.flags.writeable and dx.flags.aligned):
                raise ValueError("dx is read-only or not aligned, expected an array to write to")
            if dx.strides[-1] != dx.itemsize and dx.shape[-1] > 1:
                raise ValueError(f"dx has strides {dx.strides}, expected a contiguous last axis")
        self._buffers = allocate(self.sizes.backward(), layer.dtype)
        self._buffers["zeros"][:] = 0
        self._table = np.zeros(self._buffers["dtable"].shape if layer.ids is not None else 0)
        self._weights = layer.packed(False, threads, dx is not None)
        self._work = Work(threads, self.sizes.block, gradients.WORK_BYTES)
        self._sums = {
            name: (
                np.zeros((panels, rows - 1, width), layer.dtype),
                np.zeros((panels, width), layer.dtype),
                np.zeros((panels, rows, width)),
            )
            for name, (panels, rows, width) in (
                (name, self.sizes.sum_shape(*shape)) for name, shape in self.sizes.sums().items()
            )
        }
        self._read_dstate(given.dstate)
        self._dreset: list[Array] = []  # [2,N,R or H], of SUM_BLOCK steps and of all
        if layer.reset is not None:
            self._dreset = [np.zeros((2, *part.shape), part.dtype) for part in layer.state]

    def _read_dstate(self, dstate: tuple[Array | None, ...]) -> None:
        targets = (self._buffers["dh"], *self._buffers["d_states"])
        for to, given in zip(targets, dstate, strict=True):
            if given is not None:
                to[...] = given[self.layer.rows.order]

    @property
    def dreset(self) -> States | None:
        """Gradients of the state that rows were reset to."""
        return tuple(sums[1] for sums in self._dreset) or None

    def run(self) -> States:
        """Run all steps; return the gradients of the initial states."""
        T, K = self.layer.rows.T, self.sizes.K or self.layer.rows.T
        again = None
        if self.sizes.K:
            again = Forward(self.layer, self.sizes, self.tape.loops, self.threads)
        for s0 in reversed(range(0, T, K)):
            self._run_segment(again, s0, min(s0 + K, T))
        if self.layer.ids is not None:
            self._finish_tokens()
        elif self._dx is not None and not self.add_dx:
            clear_ends(self._dx, self.layer.rows.lengths)
        states = (self._buffers["dh"], *self._buffers["d_states"])
        dstate = tuple(np.empty_like(part) for part in states)
        for to, part in zip(dstate, states, strict=True):
            to[self.layer.rows.order] = part
        return dstate

    def _run_segment(self, again: Forward | None, s0: int, s1: int) -> None:
        """Run steps s1-1..s0; what is recomputed of them lives no longer than this."""
        buffers = self._recompute(again, s0, s1) if again else self.tape.buffers
        buffers["states_after_h"] = self._states(buffers["states"])
        fields = self._fields(buffers, s0)
        self._call(self.tape.loops.backward, fields, s0, s1)
        self._add_gradients(fields, s0, s1)

    def _call(self, function: Any, fields: Fields, s0: int, s1: int) -> None:
        function(self.threads, self.layer.shared.zero, self._work.records(fields), s0, s1)

    def _recompute(self, again: Forward, s0: int, s1: int) -> Buffers:
        rows = self.layer.rows
        count = int(rows.offset[s1] - rows.offset[s0])
        buffers = allocate(self.sizes.run(count, keep=True), self.layer.dtype)
        buffers["states"][:, : rows.N] = self.tape.starts.pop()
        again.run(buffers, s0, s1, keep=True, again=True)
        return buffers

    def _fields(self, buffers: Buffers, s0: int) -> Fields:
        arrays = {**self._weights, **self._buffers, **buffers}
        more = {name: address(a) for name, a in arrays.items() if not name.endswith("states")}
        for name, array in (("dy", self._dy), ("dx", self._dx)):
            if array is not None:
                more[name] = address(array)
                more[f"{name}_n"] = array.strides[-2]
                more[f"{name}_t"] = array.strides[0]
        if self._dreset:
            more["dreset_h"] = address(self._dreset[0])
        layer, maths = self.layer, self.layer.maths
        more.update(
            _unit_places(maths), mix_keeps=len(maths.mix_keeps), base=int(layer.rows.offset[s0])
        )
        more.update(sum=layer.shared.sum, save=1, add_dx=int(self.add_dx))
        return layer.fields._replace(h_0=address(layer.state[0]), **more)

    def _states(self, cells: Array) -> Ints:
        states = states_table(self.layer, cells)
        for j, row in enumerate(states):
            row[D_STATE] = address(self._buffers["d_states"][j])
            if self._dreset:
                row[D_RESET] = address(self._dreset[j + 1])
        return states

    def _add_gradients(self, fields: Fields, s0: int, s1: int) -> None:
        layer, shared = self.layer, self.layer.shared
        maths, step = layer.maths, layer.H * layer.dtype.itemsize
        at = {"hidden": maths.h_slot * step, "parameters": maths.first_param * step}
        if layer.ids is not None:
            self._call(shared.sum_tokens, fields._replace(wide=address(self._table)), s0, s1)
        elif self._dx is not None:
            self._call(shared.input_gradients, fields, s0, s1)
        for name in self._sums:
            if name != "x" or layer.ids is None:
                self._sum(name, fields._replace(kind=KINDS[name], column=at.get(name, 0)), s0, s1)

    def _sum(self, name: str, fields: Fields, s0: int, s1: int) -> None:
        """Add to one of the sums over steps."""
        features, columns = self.sizes.sums()[name]
        total, sums, wide = map(address, self._sums[name])
        fields = fields._replace(
            features=features, columns=columns, total=total, sums=sums, wide=wide
        )
        self._call(self.layer.shared.weight_gradients, fields, s0, s1)

    def _finish_tokens(self) -> None:
        """Gradients of the table and of its weight, once a token."""
        U = len(self.layer.x)
        self._buffers["dtable"][...] = self._table
        fields = self._fields({}, 0)
        if self._dx is not None:
            self._call(self.layer.shared.token_gradients, fields, 0, U)
        self._sum("x", fields._replace(kind=gradients.TABLE), 0, U)

    def add_to(self, grads: Weights) -> None:
        """Add the gradients of the weights to those of the caller."""
        maths = self.layer.maths
        parts = (
            ("x", maths.x_gates, grads.w_ih, grads.b_ih),
            ("hidden", maths.h_gates, grads.w_hh, grads.b_hh),
            ("late", maths.late, grads.w_hh, grads.b_hh),
        )
        I, R = self.layer.I, self.layer.R
        sums = {}
        for name in list(self._sums):
            wide, columns = self._finished(name), self.sizes.sums()[name][1]
            if name == "both":
                sums["x"] = _rows(wide, columns, 0, I)
                sums["hidden"] = _rows(wide, columns, I, I + R)
            else:
                sums[name] = _rows(wide, columns, 0, wide.shape[1] - 1)
        for name, gates, weight, bias in parts:
            if name in sums:
                self._add_gates(*sums[name], gates, weight, bias)
        if grads.w_hr is not None:
            grads.w_hr[...] += sums["projection"][0]
        for k, param in enumerate(grads.params):
            param += sums["parameters"][1][k * self.layer.H : (k + 1) * self.layer.H]

    def _finished(self, name: str) -> Array:
        """Take a sum out, all of it in float64: [panels, features and the columns' own, width].

        Added panel by panel: a sum of two types, or of what has gaps, goes through buffers of NumPy
        that are larger than small sums.
        """
        total, of_columns, wide = self._sums.pop(name)
        for to, part in zip(wide, total, strict=True):
            to[:-1] += part.astype(np.float64)
        wide[:, -1] += of_columns
        return wide

    def _add_gates(
        self,
        total: Array,
        of_columns: Array,
        gates: tuple[str, ...],
        weight: Array,
        bias: Array | None,
    ) -> None:
        """Add a sum [columns, features], and that of the columns, to the gates' rows."""
        H, order = self.layer.H, self.layer.maths.gates
        for k, gate in enumerate(gates):
            part, to = slice(k * H, (k + 1) * H), order.index(gate) * H
            wide = weight[to : to + H].astype(np.float64)  # as in _finished
            wide += total[part]
            weight[to : to + H] = wide
            if bias is not None:
                bias[to : to + H] += of_columns[part]


def _rows(wide: Array, columns: int, start: int, stop: int) -> tuple[Array, Array]:
    """Return features start to stop of a sum as [columns, features], and the columns' own."""
    panels, _, width = wide.shape
    rows = np.empty((panels, width, stop - start))
    rows.transpose(0, 2, 1)[...] = wide[:, start:stop]
    whole = rows.reshape(panels * width, stop - start)
    return whole[:columns], wide[:, -1].reshape(-1)[:columns]
