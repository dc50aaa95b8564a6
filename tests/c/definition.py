"""What each cell computes, in plain NumPy: one row after the other, one formula to a line.

Beside the reference of the package, so that the kernels' gradients can be held to central
differences of something else than themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Arrays, Case
from numpy.typing import NDArray

Vector = NDArray[Any]
State = tuple[Vector, ...]


def sigmoid(z: Vector) -> Vector:
    return 1 / (1 + np.exp(-z))


def lstm(x: list[Vector], h: list[Vector], state: State, a: Arrays, mask: Vector | float) -> State:
    i, f, g, o = (p + q for p, q in zip(x, h, strict=True))
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    out = sigmoid(o) * np.tanh(c)
    return (a["w_hr"] @ out if "w_hr" in a else out), c


def peephole_lstm(
    x: list[Vector], h: list[Vector], state: State, a: Arrays, mask: Vector | float
) -> State:
    i, f, g, o = (p + q for p, q in zip(x, h, strict=True))
    p_i, p_f, p_o = a["params"]
    c = sigmoid(f + p_f * state[1]) * state[1] + sigmoid(i + p_i * state[1]) * np.tanh(g)
    return sigmoid(o + p_o * c) * np.tanh(c), c


def gru(x: list[Vector], h: list[Vector], state: State, a: Arrays, mask: Vector | float) -> State:
    r, z = sigmoid(x[0] + h[0]), sigmoid(x[1] + h[1])
    n = np.tanh(x[2] + r * h[2])
    return ((1 - z) * n + z * state[0],)


def gru_reset_before(
    x: list[Vector], h: list[Vector], state: State, a: Arrays, mask: Vector | float
) -> State:
    r, z = sigmoid(x[0] + h[0]), sigmoid(x[1] + h[1])
    weight, bias = np.split(a["w_hh"], 3)[2], np.split(a["b_hh"], 3)[2]
    n = np.tanh(x[2] + weight @ (mask * (r * state[0])) + bias)
    return ((1 - z) * n + z * state[0],)


def rnn_tanh(
    x: list[Vector], h: list[Vector], state: State, a: Arrays, mask: Vector | float
) -> State:
    return (np.tanh(x[0] + h[0]),)


def rnn_relu(
    x: list[Vector], h: list[Vector], state: State, a: Arrays, mask: Vector | float
) -> State:
    return (np.maximum(x[0] + h[0], 0),)


STEPS: dict[str, Callable[..., State]] = {
    step.__name__: step for step in (lstm, gru, gru_reset_before, rnn_tanh, rnn_relu, peephole_lstm)
}


def run(case: Case, a: Arrays) -> Arrays:
    """The outputs [T,N,R] and the last states of a case, whose biases are there."""
    names = case.spec.states
    y = np.zeros((case.T, case.N, case.proj or case.H))
    last = {name: a[f"{name}0"].copy() for name in names}
    for n in range(case.N):
        state: State = tuple(a[f"{name}0"][n] for name in names)
        mask = a["h_mask"][n] if case.masked else 1.0
        times = np.arange(case.rows.lengths[n])
        for t in times[::-1] if case.reverse else times:
            if case.reset and a["mask"][t, n]:
                state = tuple(a[f"{name}_reset"][n] for name in names)
            x = a["x"][a["ids"][t, n]] if case.distinct else a["x"][t, n]
            of_x = np.split(a["w_ih"] @ x + a["b_ih"], case.gates)
            of_h = np.split(a["w_hh"] @ (mask * state[0]) + a["b_hh"], case.gates)
            state = STEPS[case.cell](of_x, of_h, state, a, mask)
            y[t, n] = state[0]
        for name, value in zip(names, state, strict=True):
            last[name][n] = value
    return {"y": y} | {f"{name}_n": value for name, value in last.items()}


def loss(case: Case, a: Arrays) -> float:
    """What the gradients of a case are those of: all outputs and last states, weighted."""
    return sum(float((value * a[f"d{name}"]).sum()) for name, value in run(case, a).items())


def slope(case: Case, a: Arrays, name: str, direction: Vector, step: float = 1e-5) -> float:
    """How the loss grows as array `name` goes in a direction, by central differences."""
    ends = (loss(case, a | {name: a[name] + sign * step * direction}) for sign in (1, -1))
    return (next(ends) - next(ends)) / (2 * step)
