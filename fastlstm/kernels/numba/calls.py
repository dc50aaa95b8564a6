"""A call of a layer, forward and backward: see `fastlstm.kernels.reference` for what each does."""

from __future__ import annotations

from fastlstm.kernels.arguments import check_kept
from fastlstm.kernels.call import Array, Call, Gradients, States
from fastlstm.kernels.numba.backward_pass import Backward
from fastlstm.kernels.numba.cells import maths_of
from fastlstm.kernels.numba.engine import loops
from fastlstm.kernels.numba.forward_pass import (
    Forward,
    Tape,
    allocate,
    first_states,
    last_states,
    sizes_of,
)
from fastlstm.kernels.numba.layer import Layer
from fastlstm.kernels.numba.workers import worth_threads
from fastlstm.kernels.saved import Saved
from fastlstm.kernels.spec import CellSpec


def forward(cell: CellSpec, call: Call) -> tuple[States, Saved[Tape] | None]:
    """Run all steps: see `fastlstm.kernels.reference.forward`."""
    layer = Layer(maths_of(cell), call)
    save, recompute, rows = call.save, call.recompute, layer.rows
    sizes, threads = sizes_of(layer, recompute if save else 0), _threads(layer, call.n_threads)
    tape, keep = Tape(cell, layer, sizes, loops(layer.maths, layer.dtype)), save and not recompute
    run = Forward(layer, sizes, tape.loops, threads)
    buffers = allocate(sizes.run(rows.total, keep), layer.dtype)
    first_states(layer, buffers)
    for s0 in range(0, rows.T, sizes.K or rows.T):
        if sizes.K:
            tape.starts.append(buffers["states"].copy())
        run.run(buffers, s0, min(s0 + (sizes.K or rows.T), rows.T), keep=keep)
    state_n = last_states(layer, buffers, keep)
    if keep:
        tape.buffers = buffers
    if save:  # the caller may write to these
        layer.state = tuple(part.copy() for part in layer.state)
    return state_n, Saved(tape) if save else None


def backward(saved: Saved[Tape], given: Gradients) -> tuple[States, States | None]:
    """Run all steps backward: see `fastlstm.kernels.reference.backward`."""
    tape = saved.look()
    run = Backward(tape, given, _threads(tape.layer, given.n_threads, 2))
    saved.take()
    dstate_0 = run.run()
    run.add_to(given.weights)
    return dstate_0, run.dreset


def inside(saved: Saved[Tape]) -> dict[str, Array]:
    """Return what was inside at every step: see `fastlstm.kernels.reference.inside`.

    Of a user's cell that is all that its functions keep, under the names it gave.
    """
    tape = saved.look()
    check_kept(tape.layer.given.recompute)
    maths, rows = tape.layer.maths, tape.layer.rows
    z = tape.buffers["z"].reshape(rows.total, maths.slots, tape.layer.H)
    values = {name: z[:, slot] for name, (_, slot) in maths.kept.items()}
    values.update(zip(maths.states[1:], tape.buffers["states"][:, rows.N :], strict=True))
    return {name: values[name].copy() for name in tape.cell.inside}


def _threads(layer: Layer, n_threads: int, passes: int = 1) -> int:
    """Return how many threads the work of a layer repays."""
    flops = 2.0 * layer.rows.total * len(layer.maths.gates) * layer.H * (layer.I + layer.R)
    return worth_threads(passes * flops, layer.rows.N, n_threads)
