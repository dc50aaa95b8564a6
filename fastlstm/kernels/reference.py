"""Every cell in plain NumPy: the definition, and the oracle of every test.

`reference_cells` holds one step of each cell; here is what all of them share: the loop over the
steps of a ragged batch in both directions, resets, recomputing, and the products with the input.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from fastlstm.kernels.arguments import (
    check_memory,
    check_recompute,
    read_arguments,
    read_gradients,
)
from fastlstm.kernels.reference_adam import adam
from fastlstm.kernels.reference_cells import STEPS, StepGradient, product
from fastlstm.kernels.reference_gradients import Gradients
from fastlstm.kernels.reference_pool import pool, pool_backward
from fastlstm.kernels.reference_stream import Stream
from fastlstm.kernels.reference_tape import Call, Record, Step, Tape
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.saved import Saved
from fastlstm.kernels.spec import Array, CellSpec, MemoryUse, Reset, States, Tokens, Weights

__all__ = ["Kernel"]


class Kernel:
    """The kernels of one cell, a row of `spec.CELLS`: see `spec.Kernel`."""

    pool = staticmethod(pool)
    pool_backward = staticmethod(pool_backward)
    adam = staticmethod(adam)
    empty = staticmethod(np.empty)

    def __init__(self, cell: CellSpec) -> None:
        self.cell = cell
        self._steps = STEPS[cell.name]

    @np.errstate(all="ignore")
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
        """Run one layer in one direction over a batch.

        Parameters
        ----------
        x : [T,N,I] with a contiguous last axis, or `Tokens`. Never read past a row's length.
        state : before the first step, in the order of ``cell.states``: h [N,R] and, of an LSTM,
            c [N,H].
        weights : w_ih [G,I], w_hh [G,R], b_ih and b_hh [G] or None; w_hr [R,H] of an LSTM with
            a projection, else None and R is H.
        rows : the lengths of the batch.
        y : [T,N,R], written in full: the outputs h_t, and zeros past each row's length.
        reverse : each row runs from its own last step to its first.
        reset : which steps start from another state than that of the step run before them; at a
            row's first step in place of `state`.
        save : keep what `backward` needs. x, the weights and the reset are referred to, in
            other backends y too: change none of them before `backward`.
        recompute : keep the states of every so many steps only; `backward` then runs the steps
            between them again, to the same bits. 0 keeps all.
        n_threads : taken for the interface; this backend runs on one.

        Returns
        -------
        state_n : each row's last state, like `state`; that itself if the row's length is 0.
        saved : for one call of `backward`, or None.
        """
        check_recompute(recompute)
        a = read_arguments(self.cell, x, state, weights, rows, y, reset)
        call, y = Call(a.x, a.weights, rows, reverse, a.reset), a.y
        tape = Tape(call, recompute, [], [])
        current = tuple(s.copy() for s in a.state)
        y[...] = 0
        for s, step in enumerate(rows.steps(reverse)):
            if save and recompute and s % recompute == 0:
                tape.starts.append(tuple(s.copy() for s in current))
            record = self._run(call, current, step)
            y[step] = current[0][step[1]]
            if save and not recompute:
                tape.records.append(record)
        return current, Saved(tape) if save else None

    @np.errstate(all="ignore")
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
        """Run as `forward` does, to the same bits, and return the gates and cells of each step.

        Parameters
        ----------
        x, state, weights, rows, y, reverse, reset, n_threads : as for `forward`.

        Returns
        -------
        state_n : as of `forward`.
        inside : arrays [P,H] under the names of ``cell.traced``: gates after their activations,
            and the states beside h, which y holds. Their rows are those alive at step 0, then
            those at step 1 and so on, P in all, as `Rows.steps` yields them.
        """
        a = read_arguments(self.cell, x, state, weights, rows, y, reset)
        call, y = Call(a.x, a.weights, rows, reverse, a.reset), a.y
        current = tuple(s.copy() for s in a.state)
        found: dict[str, list[Array]] = {name: [] for name in self.cell.traced}
        y[...] = 0
        for step in rows.steps(reverse):
            record = self._run(call, current, step)
            states = [s[step[1]] for s in current]
            y[step] = states[0]
            values = dict(zip(self.cell.gates, record.kept, strict=False))  # these are kept first
            values.update(zip(self.cell.states, states, strict=True))
            for name, parts in found.items():
                parts.append(values[name])
        return current, {name: np.concatenate(parts) for name, parts in found.items()}

    def _run(self, call: Call, current: States, step: Step) -> Record:
        """Run one step: change the states of its rows in `current`."""
        before = call.start(current, step)
        z_x = product(call.weights.w_ih, call.inputs(step), call.weights.b_ih)
        after, kept = self._steps.forward(z_x, before, call.weights)
        for s, value in zip(current, after, strict=True):
            s[step[1]] = value
        return Record(before, kept)

    @np.errstate(all="ignore")
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
        """Run one layer in one direction backward over the batch of `saved`.

        Gradients of weights are summed from the last step run to the first, which needs no more
        than the steps between two kept states at a time.

        Parameters
        ----------
        saved : from `forward`; used up by this call.
        dy : [T,N,R], gradient of the outputs, or None for zero. Never read past a row's length.
        dstate : gradients of the last states, like `state`; any of them None for zero.
        grads : arrays shaped like the weights, added into; biases may be None.
        dx : [T,N,I] (for `Tokens` the gradient of the table, [U,I]), or None if not wanted.
            Written in full, with zeros past each row's length; or added into.
        accumulate_dx : add into dx in place of writing it.
        n_threads : taken for the interface; this backend runs on one.

        Returns
        -------
        dstate_0 : gradients of the initial states; zero for a row reset at its first step.
        dreset : gradients of ``reset.state``, or None if there was no reset.

        Raises
        ------
        RuntimeError
            If `saved` was used before.
        """
        call = saved.look().call
        rows, cell = call.rows, self.cell
        given = read_gradients(cell, call.x, call.weights, rows, dy, dstate, grads, dx)
        current, dy, tape = given.dstate, given.dy, saved.take()
        sums = Gradients(call, grads, given.dx, accumulate_dx, current)
        steps, K = list(rows.steps(call.reverse)), tape.recompute or rows.T
        for first in reversed(range(0, rows.T, K)):
            block = steps[first : first + K]
            records = self._again(tape, block) if tape.recompute else tape.records
            for s in reversed(range(first, first + len(block))):
                d = self._run_backward(call, current, steps[s], records.pop(), dy)
                sums.leave_to_reset(s, steps[s])
                sums.add(steps[s], d)
        sums.finish()
        return current, sums.dreset

    def _again(self, tape: Tape, block: list[Step]) -> list[Record]:
        """Run the steps of the last block left once more."""
        current = tape.starts.pop()
        return [self._run(tape.call, current, step) for step in block]

    def _run_backward(
        self, call: Call, current: States, step: Step, record: Record, dy: Array | None
    ) -> StepGradient:
        """Run one step backward: change the gradients of its rows in `current`."""
        dstate = tuple(s[step[1]] for s in current)
        if dy is not None:
            dstate = (dstate[0] + dy[step], *dstate[1:])
        d = self._steps.backward(dstate, record.before, record.kept, call.weights)
        for s, value in zip(current, d.before, strict=True):
            s[step[1]] = value
        return d

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
        """Return the bytes of arrays that a forward with `save` and its backward (with dx) take.

        What is at work comes on top of what is kept. Python's own objects, some hundred bytes a
        step, are not counted.
        """
        check_memory(input_size, hidden_size, proj_size, tokens, recompute, dtype)
        size, n = np.dtype(dtype).itemsize, int(rows.n_at[0])
        I, H, R = input_size, hidden_size, proj_size or hidden_size  # noqa: E741
        G, states = self.cell.gate_rows(H), R + H * (len(self.cell.states) - 1)
        record = states + self._steps.keeps * H
        step = n * (I + 3 * G + record + 3 * H)  # of one step: input, products, gates
        forward = rows.N * states + step
        backward = forward + n * (I + 2 * G) + G * (I + R) + R * H
        if not recompute:
            kept = rows.total * record
        else:
            kept = -(-rows.T // recompute) * rows.N * states
            backward += int(rows.offset[min(recompute, rows.T)]) * record
        wide = 8 * (rows.total + G * (I + R + 2) + R * H + tokens * I)  # indices, float64 sums
        return MemoryUse(size * kept, size * forward, size * backward + wide)

    def Stream(self, layers: list[Weights], batch_size: int) -> Stream:
        """Return a `reference_stream.Stream` of this cell."""
        return Stream(self.cell, layers, batch_size)
