"""Many models of equal shape in one compiled call; see `fastlstm.kernels.many`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.kernels.adam import NONE, AdamNumbers, AdamStep, read_adam
from fastlstm.kernels.arguments import check_precision, check_recompute, plain
from fastlstm.kernels.call import Array, States, Weights
from fastlstm.kernels.many import ManyCall, ManyGradients, check_alike, put_states, stacked
from fastlstm.kernels.native import _native
from fastlstm.kernels.saved import Saved
from fastlstm.kernels.spec import CellSpec
from fastlstm.kernels.steps import OneCaller


class Models:
    """The weights of models, held; see `fastlstm.kernels.many.Looped`."""

    def __init__(self, cell: CellSpec, weights: Sequence[Weights], precision: str) -> None:
        self._cell, self._weights, self._precision = cell, list(weights), precision
        if not self._weights:
            raise ValueError("weights is empty, expected those of one model at least")
        _native.HeldModel(cell, self._weights[0], precision)  # checks what the others are held to
        check_alike("weights", self._weights, self._weights[0])
        self._held = [_native.HeldModel(cell, one, precision) for one in self._weights]
        self._I, self._H, self._R = self._weights[0].sizes()
        self._dtype = self._weights[0].w_hh.dtype

    def hold(self, gradients: Sequence[Weights]) -> list[_native.HeldModel]:
        """Hold gradients of the weights, to be added to by many backward passes."""
        gradients = list(gradients)
        if len(gradients) != len(self._weights):
            raise ValueError(
                f"gradients has {count_of(len(gradients), 'model')}, expected {len(self._held)}"
            )
        check_alike("gradients", gradients, self._weights[0])
        pairs = zip(self._weights, gradients, strict=True)
        return [_native.HeldModel(self._cell, one, self._precision, to) for one, to in pairs]

    def forward(self, call: ManyCall) -> tuple[States, Saved[_native.ManyCalls] | None]:
        """Run all models: the last states, and what was saved for `backward`."""
        check_recompute(call.recompute)
        check_precision(self._precision, self._dtype, save=call.save, cell=self._cell)
        M, lengths = len(self._held), call.lengths
        T, N = plain("x", call.x, self._dtype, (M, None, None, self._I)).shape[1:3]
        if lengths is None:
            lengths = np.broadcast_to(np.full(N, T, np.int64), (M, N))
        recompute = call.recompute if call.save else 0
        calls = _native.ManyCalls(self._held, T, N, lengths, call.reverse, recompute)
        calls.put("x", call.x, "x")
        calls.put("y", call.y, "y")
        self._put(calls, "{}0", call.state, "state")
        state_n = self._new_states(calls)
        self._put(calls, "{}_n", state_n, "state_n")
        if call.save:
            calls.keep()
        calls.run(call.n_threads)
        return state_n, Saved(calls) if call.save else None

    def backward(self, saved: Saved[_native.ManyCalls], given: ManyGradients) -> States:
        """Run them backward: gradients of the initial states."""
        calls = saved.take()
        try:
            calls.take_gradients(given.weights, given.accumulate_dx)
            self._put(calls, "d{}_n", given.dstate, "dstate", optional=True)
            for name, array in (("dy", given.dy), ("dx", given.dx)):
                if array is not None:
                    calls.put(name, array, name)
            dstate_0 = self._new_states(calls)
            self._put(calls, "d{}0", dstate_0, "dstate_0")
        except BaseException:  # nothing was computed: it still serves
            saved.put_back(calls)
            raise
        calls.run(given.n_threads)
        return dstate_0

    def _new_states(self, calls: _native.ManyCalls) -> States:
        sizes = self._cell.state_sizes(self._H, self._R)
        return tuple(np.empty((calls.M, calls.N, size), self._dtype) for size in sizes)

    def _put(
        self, calls: _native.ManyCalls, places: str, state: Any, name: str, optional: bool = False
    ) -> None:
        """Give the arrays of a state."""
        names = self._cell.states
        if len(state) != len(names):
            raise ValueError(f"{name} has {count_of(len(state), 'array')}, expected {len(names)}")
        for i, (part, array) in enumerate(zip(names, state, strict=True)):
            if array is not None or not optional:
                calls.put(places.format(part), array, f"{name}[{i}]")


class ManyStream:
    """Steps of several streams of equal shape; see `fastlstm.kernels.many.LoopedStream`."""

    def __init__(self, streams: Sequence[Any]) -> None:
        self._streams, self._caller = list(streams), OneCaller()
        if not self._streams:
            raise ValueError("streams is empty, expected one at least")
        self._steps = _native.ManySteps(self._streams)
        h = self._streams[0].state[0]
        self._R, self._dtype = h.shape[-1], h.dtype

    def __call__(self, x: Array, n_threads: int = 1, /) -> Array:
        """Advance all models by one step."""
        y = np.empty((*np.shape(x)[:2], self._R), self._dtype)
        with self._caller:
            self._steps(x, y, n_threads)
        return y

    @property
    def state(self) -> States:
        """Each state [M,L,N,R or H]: copies out, values in."""
        with self._caller:
            return stacked([stream.state for stream in self._streams])

    @state.setter
    def state(self, value: States) -> None:
        with self._caller:
            put_states(self._streams, value)


PART = 16384  # elements that a thread takes at a time


class AdamGroup:
    """Many arrays for steps of Adam in one call; see `fastlstm.kernels.adam.LoopedAdam`."""

    def __init__(self, arrays: Sequence[Sequence[Array]]) -> None:
        parts: list[tuple[Array, ...]] = []
        for p, m, v, g in arrays:
            flat = read_adam(AdamStep(p, m, v, g, None, NONE))[:4]
            cuts = range(0, flat[0].size, PART)
            parts += [tuple(array[at : at + PART] for array in flat) for at in cuts]
        self._parts = _native.AdamParts(parts)

    def step(self, numbers: AdamNumbers) -> None:
        """Take one step of all."""
        *values, n_threads = numbers
        self._parts.step(np.array(values, np.float64), n_threads)
