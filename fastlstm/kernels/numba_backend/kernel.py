"""The kernels of one cell: see `fastlstm.kernels.spec.Kernel`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastlstm.kernels.arguments import check_memory, check_recompute, read_layers
from fastlstm.kernels.numba_backend.adam import adam
from fastlstm.kernels.numba_backend.backward_pass import Backward
from fastlstm.kernels.numba_backend.cells import MATHS
from fastlstm.kernels.numba_backend.engine import Loops
from fastlstm.kernels.numba_backend.forward_pass import (
    Forward,
    Tape,
    allocate,
    first_states,
    last_states,
    sizes_of,
)
from fastlstm.kernels.numba_backend.gradients import WORK_BYTES
from fastlstm.kernels.numba_backend.layer import Layer
from fastlstm.kernels.numba_backend.maths import Maths
from fastlstm.kernels.numba_backend.memory import empty
from fastlstm.kernels.numba_backend.pool import pool, pool_backward
from fastlstm.kernels.numba_backend.sizes import Sizes
from fastlstm.kernels.numba_backend.stream import Stream
from fastlstm.kernels.numba_backend.workers import worth_threads
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.saved import Saved
from fastlstm.kernels.spec import (
    CELLS,
    Array,
    CellSpec,
    MemoryUse,
    Reset,
    States,
    Tokens,
    Weights,
)


class Kernel:
    """The kernels of one cell.

    Parameters
    ----------
    cell : its row in `spec.CELLS`, or one of a user's.
    maths : its functions; None for those of `spec.CELLS`.
    """

    pool = staticmethod(pool)
    pool_backward = staticmethod(pool_backward)
    adam = staticmethod(adam)
    empty = staticmethod(empty)

    def __init__(self, cell: CellSpec, maths: Maths | None = None) -> None:
        self.cell = cell
        self._maths = MATHS[cell.name] if maths is None else maths
        self._loops: dict[np.dtype[Any], Loops] = {}

    def _loops_of(self, dtype: np.dtype[Any]) -> Loops:
        return self._loops.setdefault(dtype, Loops(self._maths, dtype))

    def forward(
        self,
        x: Array | Tokens,
        state: States,
        weights: Weights,
        rows: Rows,
        y: Array,
        *,
        reverse: bool = False,
        reset: Reset | None = None,
        save: bool = False,
        recompute: int = 0,
        n_threads: int = 1,
    ) -> tuple[States, Saved[Tape] | None]:
        """Run all steps: see `reference.Kernel.forward`."""
        check_recompute(recompute)
        layer = Layer(self._maths, x, state, weights, rows, y, reverse, reset)
        sizes, loops = sizes_of(layer, recompute if save else 0), self._loops_of(layer.dtype)
        threads = worth_threads(_operations(layer), rows.N, n_threads)
        forward, T, keep = Forward(layer, sizes, loops, threads), rows.T, save and not recompute
        tape = Tape(layer, sizes, loops)
        buffers = allocate(sizes.run(rows.total, keep), layer.dtype)
        first_states(layer, buffers)
        for s0 in range(0, T, sizes.K or T):
            if sizes.K:
                tape.starts.append(buffers["states"].copy())
            forward.run(buffers, s0, min(s0 + (sizes.K or T), T), keep=keep)
        state_n = last_states(layer, buffers, keep)
        if keep:
            tape.buffers = buffers
        if save:  # the caller may write to these
            layer.state = tuple(part.copy() for part in layer.state)
        return state_n, Saved(tape) if save else None

    def backward(
        self,
        saved: Saved[Tape],
        dy: Array | None,
        dstate: tuple[Array | None, ...],
        grads: Weights,
        dx: Array | None,
        *,
        accumulate_dx: bool = False,
        n_threads: int = 1,
    ) -> tuple[States, States | None]:
        """Run all steps backward: see `reference.Kernel.backward`."""
        layer = saved.look().layer
        threads = worth_threads(2 * _operations(layer), layer.rows.N, n_threads)
        run = Backward(saved.look(), dy, dstate, grads, dx, accumulate_dx, threads)
        saved.take()
        dstate_0 = run.run()
        run.add_to(grads)
        return dstate_0, run.dreset

    def trace(
        self,
        x: Array | Tokens,
        state: States,
        weights: Weights,
        rows: Rows,
        y: Array,
        *,
        reverse: bool = False,
        reset: Reset | None = None,
        n_threads: int = 1,
    ) -> tuple[States, dict[str, Array]]:
        """Run all steps, and return what was inside: see `reference.Kernel.trace`.

        Of a user's cell that is all that its functions keep, under the names it gave.
        """
        state_n, saved = self.forward(
            x,
            state,
            weights,
            rows,
            y,
            reverse=reverse,
            reset=reset,
            save=True,
            n_threads=n_threads,
        )
        assert saved is not None
        tape, maths = saved.take(), self._maths
        buffers = tape.buffers
        z = buffers["z"].reshape(rows.total, maths.slots, tape.layer.H)
        values = {name: z[:, slot] for name, (_, slot) in maths.kept.items()}
        values.update(zip(maths.states[1:], buffers["states"][:, rows.N :], strict=True))
        names = self.cell.traced if self.cell in CELLS.values() else list(values)
        return state_n, {name: values[name].copy() for name in names}

    def memory(
        self,
        rows: Rows,
        input_size: int,
        hidden_size: int,
        *,
        proj_size: int = 0,
        tokens: int = 0,
        recompute: int = 0,
        dtype: DTypeLike = np.float32,
        n_threads: int = 1,
    ) -> MemoryUse:
        """Bytes of arrays that a forward with `save` and its backward (with dx) take.

        What is at work comes on top of what is kept. Python's own objects are not counted.
        """
        check_memory(input_size, hidden_size, proj_size, tokens, recompute, dtype)
        size, H = np.dtype(dtype).itemsize, hidden_size
        R, projects = proj_size or H, bool(proj_size)
        s = Sizes(self._maths, rows, input_size, H, R, tokens, recompute, size, projects)
        threads = min(n_threads, rows.N)

        def count(shapes: dict[str, tuple[int, ...]]) -> int:
            return sum(map(prod, shapes.values()))

        states = rows.N * (R + (len(self._maths.states) - 1) * H)
        indices = 8 * 8 * rows.N
        lists = indices + s.tables(threads)
        inside = size * (s.packed(True, dx=True) + s.products() + prod(s.table()))
        inside += lists + threads * (s.forward_work() + 64)
        kept = count(s.run(rows.total, keep=True)) + states
        forward = inside + size * 2 * states
        backward = size * (s.packed(False, dx=True) + count(s.backward()) + 2 * states)
        backward += lists + threads * (WORK_BYTES + 64)
        backward += 8 * prod(s.backward().get("dtable", (0,)))
        backward += sum(2 * (size + 8) * prod(s.sum_shape(*shape)) for shape in s.sums().values())
        if recompute:
            kept = states + -(-rows.T // recompute) * (states - rows.N * R)
            forward += size * count(s.run(0, keep=False))
            backward += inside + size * count(s.run(s.segment(), keep=True))
        return MemoryUse(size * kept + indices, forward, backward)

    def Stream(self, layers: list[Weights], batch_size: int) -> Stream:
        """Return a `reference_stream.Stream` of this cell."""
        read_layers(self._maths, layers, batch_size)
        return Stream(self._maths, layers, batch_size, self._loops_of(layers[0].w_hh.dtype))


def _operations(layer: Layer) -> float:
    """Floating-point operations of a forward pass."""
    return 2.0 * layer.rows.total * len(layer.maths.gates) * layer.H * (layer.I + layer.R)
