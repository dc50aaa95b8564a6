"""Gradients of a layer against differences of its outputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.counts import count_of
from fastlstm.nn.check import Rng, check_flag, check_rng, check_size
from fastlstm.nn.module import Array
from fastlstm.nn.recurrent import Recurrent
from fastlstm.nn.state import State

STEP = 1e-3  # of fourth-order differences: errors of 1e-13, and 1e-12 of the fifth derivative


class GradError(NamedTuple):
    """The worst element of one gradient."""

    name: str
    shape: tuple[int, ...]
    error: float  # relative to the largest element of the gradient, at least 1e-3
    place: tuple[int, ...]
    returned: float
    difference: float


class GradReport(NamedTuple):
    """The result of `gradcheck`, with an entry for each parameter, the input and each state."""

    tolerance: float
    errors: list[GradError]

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
        return not self.wrong

    @property
    def wrong(self) -> list[GradError]:
        """The entries above the tolerance."""
        return [e for e in self.errors if not e.error <= self.tolerance]  # NaN is wrong

    @property
    def worst(self) -> float:
        """The largest error."""
        return float(np.max([e.error for e in self.errors]))

    def __str__(self) -> str:
        lines = [f"{'gradient of':<22} {'shape':<12} {'error':>8}  worst element"]
        for e in self.errors:
            mark = "  WRONG" if e in self.wrong else ""
            place = ", ".join(map(str, e.place))
            lines.append(
                f"{e.name:<22} {e.shape!s:<12} {e.error:8.1e}  [{place}]: {e.returned:.9g}, "
                f"by differences {e.difference:.9g}{mark}"
            )
        return "\n".join(lines)


class _Problem(NamedTuple):
    """A layer, its arguments, and the weights `dy`, `dstate` of the outputs in the loss."""

    layer: Recurrent
    x: Array
    state: State | None
    lengths: ArrayLike | None
    dy: Array
    dstate: State

    def loss(self) -> float:
        y, state_n = self.layer(self.x, self.state, self.lengths)
        terms = zip((y, *_parts(state_n)), (self.dy, *self.dstate), strict=True)
        return sum(float(np.sum(value * weight)) for value, weight in terms)

    def gradients(self) -> list[Array]:
        """Return the gradients of `arrays` from the layer's backward."""
        layer = self.layer
        before = [p.grad.copy() for p in layer.parameters()]
        layer.zero_grad()
        _, _, tape = layer.forward(self.x, self.state, self.lengths)
        dx, dstate_0 = layer.backward(tape, self.dy, self.dstate)
        gradients = [p.grad.copy() for p in layer.parameters()]
        for parameter, grad in zip(layer.parameters(), before, strict=True):
            parameter.grad[...] = grad
        return [*gradients, dx, *(dstate_0 if self.state else ())]

    def arrays(self) -> dict[str, Array]:
        """The arrays that the loss depends on."""
        named = {name: p.data for name, p in self.layer.named_parameters()}
        named["x"] = self.x
        for name, array in zip(self.layer._cell.states, self.state or (), strict=False):
            named[f"{name}_0"] = array
        return named


def gradcheck(
    layer: Recurrent,
    steps: int = 4,
    batch_size: int = 3,
    *,
    ragged: bool = True,
    tolerance: float = 1e-6,
    rng: Rng = None,
    quiet: bool = False,
) -> GradReport:
    """Compare every gradient of a recurrent layer with differences of its outputs.

    The layer runs four times for each element of each parameter, of the input and of the initial
    state. So use a small one: ``gradcheck(Cell(3, 4, dtype="float64"))``. At a kink, as of relu,
    differences are no derivatives.

    Parameters
    ----------
    layer : float64 and without dropout; its gradients stay as they were. With `learn_state` its
        own initial state is checked.
    steps, batch_size : T and N of a random batch.
    ragged : whether its rows have lengths from T downwards.
    tolerance : largest error, relative to the largest element of each gradient.
    rng : for the batch; by default it is the same each time.
    quiet : return a report of wrong gradients instead of raising.

    Raises
    ------
    ValueError
        If a gradient is wrong, with the report as its text; or if the layer cannot be checked.
    """
    if layer.dtype != np.float64:
        raise ValueError(f"layer has dtype {layer.dtype}, expected float64: differences need it")
    if layer.dropout:
        raise ValueError(f"layer has dropout={layer.dropout}, expected 0")
    check_size("steps", steps)
    check_size("batch_size", batch_size)
    ragged, quiet = check_flag("ragged", ragged), check_flag("quiet", quiet)
    rng = np.random.default_rng(0) if rng is None else check_rng(rng)
    problem = _draw(layer, steps, batch_size, ragged, rng)
    pairs = zip(problem.arrays().items(), problem.gradients(), strict=True)
    errors = [_compare(problem, name, array, gradient) for (name, array), gradient in pairs]
    report = GradReport(tolerance, errors)
    if not report.ok and not quiet:
        found = count_of(len(report.wrong), "wrong gradient")
        raise ValueError(f"{type(layer).__name__} has {found}\n{report}")
    return report


def _draw(layer: Recurrent, T: int, N: int, ragged: bool, rng: np.random.Generator) -> _Problem:
    """Draw a batch; a layer that learns its initial state starts from that."""
    rows = (N, T) if layer.batch_first else (T, N)
    shapes = [part.shape for part in layer.make_state(N)]
    state = State(map(rng.standard_normal, shapes))
    return _Problem(
        layer,
        rng.standard_normal((*rows, layer.input_size)),
        None if layer.learn_state else state,
        np.maximum(T - np.arange(N), 0) if ragged else None,
        rng.standard_normal((*rows, layer._width)),
        State(map(rng.standard_normal, shapes)),
    )


def _parts(state: Any) -> list[Array]:
    return [state] if isinstance(state, np.ndarray) else list(state)


def _compare(problem: _Problem, name: str, array: Array, gradient: Array) -> GradError:
    """Compare one gradient, element by element."""
    differences = np.empty_like(array)
    for place in np.ndindex(array.shape):
        value, loss = array[place], {}
        for k in (-2, -1, 1, 2):
            array[place] = value + k * STEP
            loss[k] = problem.loss()
        array[place] = value
        differences[place] = (8 * (loss[1] - loss[-1]) - (loss[2] - loss[-2])) / (12 * STEP)
    scale = max(float(np.abs(differences).max(initial=0)), 1e-3)
    off = np.abs(gradient - differences)
    worst = tuple(int(i) for i in np.unravel_index(np.argmax(off), off.shape))
    error, returned, difference = (float(a[worst]) for a in (off, gradient, differences))
    return GradError(name, array.shape, error / scale, worst, returned, difference)
