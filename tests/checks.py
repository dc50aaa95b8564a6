"""What must hold of a kernel: here the values and gradients, in `contracts.py` what is promised
to the last bit. Each check takes a kernel of any cell and raises AssertionError if it does not
hold: the tests apply them to every cell and backend, `test_mutants.py` to planted faults.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
from bound import Kernel
from cases import F64, TOLERANCE, Array, Case, Problem, make

from fastlstm.kernels import Tokens, Weights
from fastlstm.kernels.reference.cells import STEPS, product

Results = dict[str, Array]
FIVE = tuple(f"d{name}" for name in Weights._fields[:5])
OUTPUTS = ("y", "h_n", "c_n")


def run_forward(kernel: Any, p: Problem, x: Any = None, **options: Any) -> tuple[Results, Any]:
    """Run forward; y starts as NaN, so that what is not written shows."""
    y = np.full((p.rows.T, p.rows.N, p.weights.w_hh.shape[1]), np.nan, p.weights.w_hh.dtype)
    state_n, saved = kernel.forward(
        p.x if x is None else x,
        p.state,
        p.weights,
        p.rows,
        y,
        reverse=p.reverse,
        reset=p.reset,
        mask=p.mask,
        **options,
    )
    results = {"y": y}
    results.update((f"{s}_n", a) for s, a in zip(kernel.cell.states, state_n, strict=True))
    return results, saved


def run(kernel: Any, p: Problem, x: Any = None, recompute: int = 0, n_threads: int = 1) -> Results:
    """Run forward and backward; return all outputs and gradients by name.

    In int8, which has no backward, the outputs alone.
    """
    if kernel.precision == "int8":
        return run_forward(kernel, p, x, n_threads=n_threads)[0]
    results, saved = run_forward(kernel, p, x, save=True, recompute=recompute, n_threads=n_threads)
    dx = np.full_like(x.table if isinstance(x, Tokens) else p.x, np.nan)
    grads = p.weights.map(np.zeros_like)
    dstate_0, dreset = kernel.backward(saved, p.dy, p.dstate, grads, dx, n_threads=n_threads)
    assert (dreset is None) == (p.reset is None)
    results["dx"] = dx
    for end, arrays in (("0", dstate_0), ("_reset", dreset or ())):
        results.update((f"d{s}{end}", a) for s, a in zip(kernel.cell.states, arrays, strict=False))
    results.update(named(kernel, grads))
    return results


def named(kernel: Any, weights: Weights) -> Results:
    """The arrays of weights by the names of their gradients."""
    names = (*FIVE, *(f"d{name}" for name in kernel.cell.params))
    return {k: w for k, w in zip(names, weights.arrays(), strict=True) if w is not None}


def assert_close(actual: Array, expected: Array, tolerance: float, name: str) -> None:
    """Assert equal up to `tolerance` relative to the largest expected value."""
    assert actual.shape == expected.shape, f"{name}: shape {actual.shape}, not {expected.shape}"
    scale = max(float(np.abs(expected).max(initial=0)), 1e-3)
    error = float(np.abs(actual.astype(F64) - expected).max(initial=0)) / scale
    assert error <= tolerance, f"{name}: error {error:.2e} of its scale, allowed {tolerance:.0e}"


def assert_same(actual: Array, expected: Array, name: str) -> None:
    """Assert equal to the last bit (NaN equals NaN)."""
    assert np.array_equal(actual, expected, equal_nan=True), (
        f"{name}: differs by up to {np.nanmax(np.abs(actual - expected)):.2e}"
    )


KINKED = {"relu", "hard_sigmoid", "softsign"}  # of the last one it is the second derivative's


def has_kink(kernel: Any) -> bool:
    """Whether the cell's gradient, or that of it, jumps somewhere."""
    cell = kernel.cell
    three = () if cell.usual else (
        cell.activation, cell.recurrent_activation, cell.state_activation,
    )  # fmt: skip
    return cell.name == "rnn_relu" or any(a.name in KINKED or a.clip < np.inf for a in three)


def _nearest_to_kink(kernel: Any, p: Problem) -> float:
    """The smallest |z| of any gate in float64."""
    oracle, smallest = Kernel(kernel.cell, "reference"), np.inf

    def watching(z_x: Array, state: Any, w: Weights) -> Any:
        nonlocal smallest
        z = z_x + product(w.w_hh, state[0], w.b_hh)
        smallest = min(smallest, float(np.abs(z).min(initial=np.inf)))
        return steps.forward(z_x, state, w)

    steps = STEPS[kernel.cell.name]
    with patch.dict(STEPS, {kernel.cell.name: steps._replace(forward=watching)}):
        run_forward(oracle, p.astype(F64))
    return smallest


def make_smooth(kernel: Any, case: Case) -> Problem:
    """`make`, again until no gate is so near a kink that rounding could move it across."""
    p = make(case, kernel.cell)
    for again in range(1, 100):
        if kernel.cell.name != "rnn_relu" or _nearest_to_kink(kernel, p) > 2e-5:
            return p
        p = make(Case(**{**vars(case), "seed": case.seed + 1000 * again}), kernel.cell)
    raise RuntimeError(f"no numbers away from the kink for {case}")


def check_reference(kernel: Any, case: Case) -> None:
    """Outputs and gradients equal those of the reference in float64."""
    p = make_smooth(kernel, case)
    actual, expected = run(kernel, p), run(Kernel(kernel.cell, "reference"), p.astype(F64))
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        assert value.dtype == case.dtype, f"{name} is {value.dtype}"
        kind = "output" if name in OUTPUTS else "gradient"
        assert_close(value, expected[name], TOLERANCE[kind, case.dtype], name)
    plain, saved = run_forward(kernel, p)
    assert saved is None
    for name, value in plain.items():
        assert_same(value, actual[name], f"{name} without saving")


def _loss(kernel: Any, p: Problem) -> float:
    out, _ = run_forward(kernel, p)
    weights = (p.dy, *p.dstate)
    return sum(float(np.sum(v * w)) for v, w in zip(out.values(), weights, strict=True))


def inputs_of(kernel: Any, p: Problem) -> dict[str, Array]:
    """The arrays that a gradient is taken of, by its name."""
    inputs = {"dx": p.x}
    for end, arrays in (("0", p.state), ("_reset", p.reset.state if p.reset else ())):
        inputs.update((f"d{s}{end}", a) for s, a in zip(kernel.cell.states, arrays, strict=False))
    return {**inputs, **named(kernel, p.weights)}


def slope(kernel: Any, p: Problem, array: Array, direction: Array) -> float:
    """Derivative of the loss along `direction` of `array` by fourth-order central differences."""
    step, start, loss = 1e-6 if has_kink(kernel) else 1e-3, array.copy(), {}
    for k in (-2, -1, 1, 2):
        array[...] = start + k * step * direction
        loss[k] = _loss(kernel, p)
    array[...] = start
    return (8 * (loss[1] - loss[-1]) - (loss[2] - loss[-2])) / (12 * step)


def _difference_tolerance(kernel: Any) -> float:
    return TOLERANCE["kinked difference" if has_kink(kernel) else "difference", F64]


def check_differences(kernel: Any, case: Case) -> None:
    """Every gradient equals the differences of forward along random directions."""
    p = make_smooth(kernel, case.with_dtype(F64))
    gradients, rng = run(kernel, p), np.random.default_rng(case.seed)
    for name, array in inputs_of(kernel, p).items():
        for _ in range(2):
            direction = rng.standard_normal(array.shape)
            direction /= np.sqrt(np.sum(direction**2))
            expected = slope(kernel, p, array, direction)
            actual = np.sum(gradients[name] * direction)
            error = abs(actual - expected) / max(np.sqrt(np.sum(gradients[name] ** 2)), 1e-3)
            assert error <= _difference_tolerance(kernel), f"{name}: error {error:.2e} of its norm"


def check_every_difference(kernel: Any, case: Case) -> None:
    """Every element of every gradient equals the difference of forward in that element."""
    p = make_smooth(kernel, case.with_dtype(F64))
    gradients = run(kernel, p)
    for name, array in inputs_of(kernel, p).items():
        slopes = np.empty_like(array)
        for at in np.ndindex(array.shape):
            unit = np.zeros_like(array)
            unit[at] = 1
            slopes[at] = slope(kernel, p, array, unit)
        assert_close(gradients[name], slopes, _difference_tolerance(kernel), name)


def check_float_state(call: Callable[[], object], read: Callable[[], int] | None) -> None:
    """After `call` denormal numbers are computed with as before, and the register is unchanged."""
    before = read() if read else 0
    call()
    after = read() if read else 0
    assert np.float32(1e-38) * np.float32(0.1) != 0, "denormals are flushed in the caller"
    assert after == before, f"floating-point state {after:#x}, was {before:#x}"


def others_run_beside(call: Callable[[], object]) -> bool:
    """Whether another thread gets its turns within a call: it gives the GIL away.

    On a busy machine it may take several calls until that is seen; a call that keeps the GIL
    leaves it no more than a turn before and one after.
    """
    done, turns = threading.Event(), [0]

    def take_turns() -> None:
        while not done.wait(0.001):
            turns[0] += 1

    other = threading.Thread(target=take_turns)
    other.start()
    try:
        for _ in range(200):
            before = turns[0]
            call()
            if turns[0] - before >= 10:
                return True
        return False
    finally:
        done.set()
        other.join()
