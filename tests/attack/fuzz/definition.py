"""The definition of lower precision, held against a step of a kernel: how far it may be away.

A step is compared and not a whole call: both begin with the same bits, so all factors are rounded
alike. What is made inside of a step and rounded then (h before a projection, r * h) may differ in
its last digit, and so be rounded the other way now and then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from bound import Kernel
from cases import F64, TOLERANCE, Array

from fastlstm.kernels import Rows, Weights
from fastlstm.nn.weights import find_parameters, read_weights

# Of two activations, one times the other.
ROUNDING = TOLERANCE["activation", "rounded sigmoid"] + TOLERANCE["activation", "rounded tanh"]
# So many numbers of a row may be rounded the other way: one in 400 of them is near enough a tie.
FLIPS = 5
# Half of what lies between two numbers is the rounding, all of it the way to the other one: of
# bfloat16 a 256th of a number, of int8 a 127th of the largest.
STEP = {"bfloat16": 2.0**-7, "int8": 1 / 127}


def weights_of(made: Any, k: int) -> Weights:
    """The weights of one layer, or of a cell."""
    suffixes = getattr(made, "_suffixes", [""])
    return read_weights(find_parameters(made, suffixes[k], made._cell))


def step_of(made: Any, k: int, x: Array, state: tuple[Array, ...]) -> list[Array]:
    """The new states [N,...] of one step of layer k, from x [N,I], by the reference."""
    weights, N = weights_of(made, k), len(x)
    y = np.empty((1, N, weights.sizes()[2]), made.dtype)
    kernel = Kernel(made._cell, "reference", made.precision)
    ends, _ = kernel.forward(np.ascontiguousarray(x)[None], state, weights, Rows(1, N), y)
    return list(ends)


def near_the_step(
    made: Any, k: int, x: Array, state: tuple[Array, ...], found: list[Array], name: str
) -> None:
    """Assert that states after a step are those of the definition, row by row."""
    expected, weights = step_of(made, k, x, state), weights_of(made, k)
    allowed = _rounding(weights, x, state, expected)
    late, most = weights.w_hr, 1.0
    if made._cell.late:
        late, most = weights.w_hh[-made.hidden_size :], float(np.abs(state[0]).max())
    if late is not None:  # it meets what is made in the step, of at most so much
        allowed += FLIPS * STEP[made.precision] * max(1.0, most) * float(np.abs(late).max())
    for which, one, other in zip(made._cell.states, found, expected, strict=True):
        error = np.abs(one.astype(F64) - other).max(axis=1)
        n = int(np.argmax(error - allowed))
        told = f"error {error[n]:.1e}, allowed {allowed[n]:.1e}"
        assert error[n] <= allowed[n], f"{which}[{n}] of {name}: {told}"


def _rounding(weights: Weights, x: Array, state: tuple[Array, ...], expected: list[Array]) -> Array:
    """How far each row's states may be away by rounding of float32, and by the activations."""
    sums = np.abs(x.astype(F64)) @ np.abs(weights.w_ih.T) + np.abs(state[0]) @ np.abs(
        weights.w_hh.T
    )
    largest = [np.abs(a).max(axis=1) for a in (sums, *state, *expected)]
    made: Array = ROUNDING * np.maximum.reduce([np.ones(len(x)), *largest])
    if weights.w_hr is not None:
        made *= max(1.0, float(np.abs(weights.w_hr).sum(axis=1).max()))
    return made
