"""Kernels with planted faults in their values and gradients, for `test_mutants.py`; those that
break a contract are in `faults_of_contracts.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from bound import Kernel

from fastlstm.kernels import CELLS, Reset, Rows, Weights
from fastlstm.kernels.reference.cells import STEPS, StepGradient, by_row

# What finds a wrong backward.
GRADIENTS = ("reference", "reference f32", "differences", "each difference")


class Mutant(NamedTuple):
    cell: str
    make: Callable[[], Any]
    found_by: tuple[str, ...]


MUTANTS: dict[str, Mutant] = {}
GRU, GRU_RESET_BEFORE, LSTM, PEEPHOLE_LSTM = (
    STEPS[name] for name in ("gru", "gru_reset_before", "lstm", "peephole_lstm")
)


def planted(cell: str, *found_by: str) -> Callable[[Any], Any]:
    """Note a fault in a cell and the checks that must find it: a class of kernel without
    arguments but the cell."""

    def note(kernel: Any) -> Any:
        MUTANTS[kernel.__name__] = Mutant(cell, lambda: kernel(CELLS[cell]), found_by)
        return kernel

    return note


class Fault(Kernel):
    """The reference, to be changed."""

    def __init__(self, cell: Any) -> None:
        super().__init__(cell, "reference")


class OtherSteps(Fault):
    """A cell with other steps."""

    def __init__(self, cell: Any) -> None:
        super().__init__(cell)
        self.steps = STEPS[cell.name]

    def forward(self, *arguments: Any, **options: Any) -> Any:
        with patch.dict(STEPS, {self.cell.name: self.steps}):
            return super().forward(*arguments, **options)

    def backward(self, *arguments: Any, **options: Any) -> Any:
        with patch.dict(STEPS, {self.cell.name: self.steps}):
            return super().backward(*arguments, **options)


def permuted(order: list[int], w: Weights) -> Weights:
    """Weights with their gates in another order; the projection as it is."""

    def turn(a: Any) -> Any:
        return a if a is None else np.concatenate([np.split(a, len(order))[k] for k in order])

    return w._replace(**{name: turn(getattr(w, name)) for name in w._fields[:4]})


class PermutedGates(Fault):
    """Gates in each other's place: a cell of its own, forward and backward agree."""

    order: list[int]

    def forward(self, x: Any, state: Any, weights: Any, *rest: Any, **options: Any) -> Any:
        return super().forward(x, state, permuted(self.order, weights), *rest, **options)


@planted("lstm", "reference", "reference f32")
class GatesIAndFSwapped(PermutedGates):
    order = [1, 0, 2, 3]


@planted("gru", "reference", "reference f32")
class GatesRAndZSwapped(PermutedGates):
    order = [1, 0, 2]


@planted("gru", "reference", "reference f32")
class ResetGateBeforeTheProduct(OtherSteps):
    def __init__(self, cell: Any) -> None:
        super().__init__(cell)
        self.steps = STEPS["gru_reset_before"]


class WrongStepBackward(OtherSteps):
    def __init__(self, cell: Any) -> None:
        super().__init__(cell)
        self.steps = self.steps._replace(backward=self.step_backward)

    def step_backward(self, dstate: Any, before: Any, kept: Any, w: Weights) -> StepGradient:
        raise NotImplementedError


@planted("gru", *GRADIENTS)
class BiasGradientWithoutTheResetGate(WrongStepBackward):
    """db_hh as db_ih, as it is in all other cells."""

    def step_backward(self, *arguments: Any) -> StepGradient:
        d = GRU.backward(*arguments)
        return d._replace(z_h=d.z_x)


@planted("gru_reset_before", *GRADIENTS)
class WeightGradientWithoutTheResetGate(WrongStepBackward):
    def step_backward(self, dstate: Any, before: Any, kept: Any, w: Weights) -> StepGradient:
        d = GRU_RESET_BEFORE.backward(dstate, before, kept, w)
        return d._replace(w_hh=d.z_h.T @ before[0])


@planted("rnn_tanh", *GRADIENTS)
class WrongDerivative(WrongStepBackward):
    def step_backward(self, dstate: Any, before: Any, kept: Any, w: Weights) -> StepGradient:
        dz = dstate[0] * (1 - kept[0])
        return StepGradient(dz, dz, (by_row(w.w_hh.T, dz),), dz.T @ before[0])


@planted("rnn_relu", *GRADIENTS)
class KinkForgotten(WrongStepBackward):
    def step_backward(self, dstate: Any, before: Any, kept: Any, w: Weights) -> StepGradient:
        (dz,) = dstate
        return StepGradient(dz, dz, (by_row(w.w_hh.T, dz),), dz.T @ before[0])


@planted("rnn_relu", "poison")
class NanEndsAtTheKink(WrongStepBackward):
    def step_backward(self, dstate: Any, before: Any, kept: Any, w: Weights) -> StepGradient:
        dz = np.where(kept[0] > 0, dstate[0], 0)
        return StepGradient(dz, dz, (by_row(w.w_hh.T, dz),), dz.T @ before[0])


@planted("lstm", *GRADIENTS)
class ProjectionGradientOfTheOutput(WrongStepBackward):
    """dW_hr from the state c in place of what was projected."""

    def step_backward(self, dstate: Any, before: Any, kept: Any, w: Weights) -> StepGradient:
        d = LSTM.backward(dstate, before, kept, w)
        return d._replace(w_hr=dstate[0].T @ kept[4])


@planted("peephole_lstm", *GRADIENTS)
class PeepholeGradientOfTheCellBefore(WrongStepBackward):
    """dp_o from the cell before the step, as of the other two."""

    def step_backward(self, dstate: Any, before: Any, kept: Any, w: Weights) -> StepGradient:
        d = PEEPHOLE_LSTM.backward(dstate, before, kept, w)
        do = np.split(d.z_h, 4, axis=1)[3]
        return d._replace(params=(*d.params[:2], (do * before[1]).sum(axis=0)))


class GradientDropped(Fault):
    name: str

    def backward(self, saved: Any, dy: Any, dstate: Any, grads: Any, *r: Any, **o: Any) -> Any:
        gradient = getattr(grads, self.name)
        without = grads._replace(**{self.name: None if gradient is None else gradient.copy()})
        return super().backward(saved, dy, dstate, without, *r, **o)


@planted("lstm", *GRADIENTS)
class ProjectionGradientDropped(GradientDropped):
    name = "w_hr"


@planted("rnn_tanh", *GRADIENTS)
class BiasGradientDropped(GradientDropped):
    name = "b_hh"


class FewerSteps(Rows):
    def steps(self, reverse: bool = False) -> Iterator[Any]:
        for s, (t, n) in enumerate(super().steps(reverse)):
            yield (t, n) if s else (t[:0], n[:0])


class OtherTape(Fault):
    """Backward finds something else on the tape."""

    def backward(self, saved: Any, *rest: Any, **options: Any) -> Any:
        saved._tape[0] = self.other(saved._tape[0])
        return super().backward(saved, *rest, **options)

    def other(self, tape: Any) -> Any:
        raise NotImplementedError


@planted("gru", *GRADIENTS)
class StepSkippedInBackward(OtherTape):
    """The last step that backward reaches, the first in time, is left out."""

    def other(self, tape: Any) -> Any:
        rows = tape.call.rows
        skipping = FewerSteps(rows.T, rows.N, rows.lengths)
        records = [
            tape.records[0]._replace(
                before=tuple(s[:0] for s in tape.records[0].before),
                kept=tuple(a[:0] for a in tape.records[0].kept),
            ),
            *tape.records[1:],
        ]
        return tape._replace(call=tape.call._replace(rows=skipping), records=records)


@planted("gru", "reset", "reference with resets", "differences with resets")
class ResetIgnoredInBackward(OtherTape):
    """Gradients go on through a reset; its state gets none."""

    def other(self, tape: Any) -> Any:
        self.reset = tape.call.reset
        return tape._replace(call=tape.call._replace(reset=None))

    def backward(self, *arguments: Any, **options: Any) -> Any:
        dstate_0, _ = super().backward(*arguments, **options)
        return dstate_0, self.reset and tuple(np.zeros_like(s) for s in self.reset.state)


@planted("lstm", "reset", "reference with resets", "differences with resets")
class ResetGradientOfOneResetOnly(Fault):
    def backward(self, saved: Any, *rest: Any, **options: Any) -> Any:
        reset = saved._tape[0].call.reset
        dstate_0, dreset = super().backward(saved, *rest, **options)
        if reset is None:
            return dstate_0, None
        once = (reset.mask.sum(axis=0) <= 1)[:, None]
        return dstate_0, tuple(np.where(once, d, 0) for d in dreset)


class OtherReset(Fault):
    """Forward and backward take another reset."""

    def forward(self, *arguments: Any, reset: Any = None, **options: Any) -> Any:
        reset = reset and self.other(reset)
        return super().forward(*arguments, reset=reset, **options)

    def other(self, reset: Reset) -> Reset:
        raise NotImplementedError


@planted("rnn_tanh", "reset", "reference with resets")
class ResetOneStepLate(OtherReset):
    def other(self, reset: Reset) -> Reset:
        return Reset(np.roll(reset.mask, 1, axis=0), reset.state)


@planted("gru_reset_before", "reset", "reference with resets", "rows")
class ResetOfTheWholeBatch(OtherReset):
    def other(self, reset: Reset) -> Reset:
        anew = reset.mask.any(axis=1, keepdims=True)
        return Reset(np.repeat(anew, reset.mask.shape[1], axis=1), reset.state)


@planted("lstm", "reset", "reference with resets")
class ResetToZeros(OtherReset):
    def other(self, reset: Reset) -> Reset:
        return Reset(reset.mask, tuple(np.zeros_like(s) for s in reset.state))
