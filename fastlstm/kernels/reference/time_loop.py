"""Forward and backward through time of any cell, in plain NumPy."""

from __future__ import annotations

import numpy as np

from fastlstm.kernels.arguments import check_kept, read_call, read_gradients
from fastlstm.kernels.call import Array, Call, Gradients, States
from fastlstm.kernels.reference.cells import STEPS, Kept, StepGradient, product, steps_of
from fastlstm.kernels.reference.gradients import Sums
from fastlstm.kernels.reference.precision import keep, keep_states, with_precision
from fastlstm.kernels.reference.tape import (
    Record,
    Step,
    Tape,
    before_step,
    inputs_of,
    weights_of,
)
from fastlstm.kernels.saved import Saved
from fastlstm.kernels.spec import CellSpec


@np.errstate(all="ignore")
def forward(cell: CellSpec, call: Call) -> tuple[States, Saved[Tape] | None]:
    """Run one layer in one direction over a batch.

    Returns
    -------
    state_n : each row's last state, like `Call.state`; that itself if the row's length is 0.
    saved : for `inside` and one call of `backward`, or None.

    Raises
    ------
    TypeError, ValueError
        If an array does not fit the others.
    IndexError
        If a token is not in its table.
    """
    call = read_call(cell, call)
    tape = Tape(cell, call, with_precision(cell, call.weights, call.precision), [], [])
    current = tuple(s.copy() for s in call.state)
    call.y[...] = 0
    for s, step in enumerate(call.rows.steps(call.reverse)):
        if call.save and call.recompute and s % call.recompute == 0:
            tape.starts.append(tuple(s.copy() for s in current))
        record = _run(tape, current, step)
        call.y[step] = current[0][step[1]]
        if call.save and not call.recompute:
            tape.records.append(record)
    return current, Saved(tape) if call.save else None


@np.errstate(all="ignore")
def backward(saved: Saved[Tape], given: Gradients) -> tuple[States, States | None]:
    """Run one layer in one direction backward over the batch of `saved`.

    Gradients of weights are summed from the last step run to the first, which needs no more
    than the steps between two kept states at a time.

    Returns
    -------
    dstate_0 : gradients of the initial states; zero for a row reset at its first step.
    dreset : gradients of ``reset.state``, or None if there was no reset.

    Raises
    ------
    RuntimeError
        If `saved` was used before.
    TypeError, ValueError, IndexError
        If an array does not fit what forward was called with; `saved` then still serves.
    """
    cell, call, *_ = saved.look()
    given = read_gradients(cell, call, given)
    current = tuple(d.copy() for d in given.dstate if d is not None)
    tape = saved.take()
    sums = Sums(call, tape.weights.w_ih, given, current)
    steps, K = list(call.rows.steps(call.reverse)), call.recompute or call.rows.T
    for first in reversed(range(0, call.rows.T, K)):
        block = steps[first : first + K]
        records = _again(tape, block) if call.recompute else tape.records
        for s in reversed(range(first, first + len(block))):
            d = _run_backward(tape, current, steps[s], records.pop(), given.dy)
            sums.leave_to_reset(s, steps[s])
            sums.add(steps[s], d)
    sums.finish()
    return current, sums.dreset


def inside(saved: Saved[Tape]) -> dict[str, Array]:
    """Return the gates and states at every step of what was saved without `recompute`.

    Returns
    -------
    inside : arrays [P,H] under the names of ``cell.inside``: gates after their activations, and
        the states beside h, which y holds; as they were kept, so in bfloat16 rounded. Their rows
        are those alive at step 0, then those at step 1 and so on, P in all, as `Rows.steps` yields
        them.

    Raises
    ------
    RuntimeError
        If `saved` was used before.
    ValueError
        If it was made with `recompute`.
    """
    cell, call, _, records, _ = saved.look()
    check_kept(call.recompute)
    found: dict[str, list[Array]] = {name: [] for name in cell.inside}
    for record in records:
        values = dict(zip(cell.gates, record.kept, strict=False))  # these are kept first
        values.update(zip(cell.states, record.after, strict=True))
        for name, parts in found.items():
            parts.append(values[name])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _run(tape: Tape, current: States, step: Step) -> Record:
    """Run one step: change the states of its rows in `current`."""
    cell, call, weights, *_ = tape
    before = before_step(call, current, step)
    z_x = product(weights.w_ih, inputs_of(call, step), weights.b_ih)
    after, kept = steps_of(cell).forward(z_x, before, weights_of(tape, step))
    for s, value in zip(current, after, strict=True):
        s[step[1]] = value
    return _record(cell, call.precision, before, after, kept)


def _record(cell: CellSpec, precision: str, before: States, after: States, kept: Kept) -> Record:
    """Return the record of a step as the precision keeps it."""
    if precision != "bfloat16":
        return Record(before, after, kept)
    steps = STEPS[cell.name]
    before, after = keep_states(before), keep_states(after)
    kept = keep(cell, kept, steps.finely)
    return Record(before, after, steps.find(kept, before, after) if steps.find else kept)


def _again(tape: Tape, block: list[Step]) -> list[Record]:
    """Run the steps of the last block left once more."""
    current = tape.starts.pop()
    return [_run(tape, current, step) for step in block]


def _run_backward(
    tape: Tape, current: States, step: Step, record: Record, dy: Array | None
) -> StepGradient:
    """Run one step backward: change the gradients of its rows in `current`."""
    dstate = tuple(s[step[1]] for s in current)
    if dy is not None:
        dstate = (dstate[0] + dy[step], *dstate[1:])
    back = steps_of(tape.cell).backward
    d = back(dstate, record.before, record.kept, weights_of(tape, step))
    for s, value in zip(current, d.before, strict=True):
        s[step[1]] = value
    return d
