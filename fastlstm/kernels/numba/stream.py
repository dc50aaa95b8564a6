"""Single steps through stacked layers: the time loop over one step, weights packed once."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastlstm.kernels.arguments import read_layers
from fastlstm.kernels.call import Array, Call, States, Weights
from fastlstm.kernels.numba.cells import maths_of
from fastlstm.kernels.numba.engine import loops
from fastlstm.kernels.numba.forward_pass import Forward, allocate, sizes_of
from fastlstm.kernels.numba.layer import Layer
from fastlstm.kernels.numba.precision import check_float32
from fastlstm.kernels.rows import Int64Array, Rows
from fastlstm.kernels.spec import CellSpec
from fastlstm.kernels.steps import OneCaller, read_rows, read_states, read_step


class Stream:
    """See `fastlstm.kernels.reference.stream.Stream`."""

    shares = False

    def __init__(
        self, cell: CellSpec, layers: list[Weights], batch_size: int, precision: str = "float32"
    ) -> None:
        read_layers(cell, layers, batch_size, precision)
        check_float32(precision)
        self._names, self._caller = cell.states, OneCaller()
        self._steps = [_Step(cell, copy.deepcopy(weights), batch_size) for weights in layers]
        self._dtype: np.dtype[Any] = layers[0].w_hh.dtype
        self._x_shape = (batch_size, layers[0].w_ih.shape[1])

    def __call__(self, x: Array, /, rows: Int64Array | None = None, n_threads: int = 1) -> Array:
        """Advance by one step: see `fastlstm.kernels.reference.stream.Stream`."""
        numbers, (N, I) = read_rows(rows, self._x_shape[0]), self._x_shape
        M = N if numbers is None else len(numbers)
        y, single = read_step(x, (M, I), self._dtype.name)
        with self._caller:
            for step in self._steps:
                y = step(y) if numbers is None else step.of_rows(y, numbers)
            result: Array = y.copy()
        return result[0] if single else result

    def reset(self) -> None:
        """Set the state to zero."""
        with self._caller:
            for step in self._steps:
                for part in step.state:
                    part[...] = 0

    @property
    def state(self) -> States:
        parts = zip(*(step.state for step in self._steps), strict=True)
        with self._caller:
            return tuple(np.stack(part) for part in parts)

    @state.setter
    def state(self, value: States) -> None:
        shapes = [(len(self._steps), *part.shape) for part in self._steps[0].state]
        values = read_states(value, self._names, shapes, self._dtype.name)
        with self._caller:
            for i, step in enumerate(self._steps):
                for part, new in zip(step.state, values, strict=True):
                    part[...] = new[i]


class _Step:
    """One layer of a stream: its input, output and state lie where its call expects them."""

    def __init__(self, cell: CellSpec, weights: Weights, batch_size: int) -> None:
        I, H, R = weights.sizes()
        N, dtype = batch_size, weights.w_hh.dtype
        self._x, self._y = np.zeros((1, N, I), dtype), np.zeros((1, N, R), dtype)
        state = tuple(np.zeros((N, size), dtype) for size in cell.state_sizes(H, R))
        self._rows = Rows(1, N)
        layer = Layer(maths_of(cell), Call(self._x, state, weights, self._rows, self._y))
        sizes, of_cell = sizes_of(layer, 0), loops(layer.maths, dtype)
        self._buffers = allocate(sizes.run(0, keep=False), dtype)  # the call has addresses alone
        self._buffers["states"][...] = 0
        self.state = (layer.state[0], *self._buffers["states"])
        self._forward = Forward(layer, sizes, of_cell, 1)  # it holds what the call has addresses of
        self._run = self._forward.prepare(self._buffers, 0, 1)

    def __call__(self, x: Array) -> Array:
        y = self._step(x)
        self.state[0][...] = y
        return y

    def of_rows(self, x: Array, rows: Int64Array) -> Array:
        """Advance some rows: they take the first places for as long."""
        M = len(rows)
        firsts = [part[:M].copy() for part in self.state]
        for part in self.state:
            part[:M] = part[rows]
        y = self._step(x).copy()
        after = [y, *(part[:M].copy() for part in self.state[1:])]
        for part, first, new in zip(self.state, firsts, after, strict=True):
            part[:M] = first
            part[rows] = new
        return y

    def _step(self, x: Array) -> Array:
        """Return y of the first rows, as many as x has."""
        M = len(x)
        self._rows.n_at[0] = M
        self._x[0, :M] = x
        self._run()
        y: Array = self._y[0, :M]
        return y


stream = Stream
