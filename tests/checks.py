"""What must hold of a kernel. Each check takes the kernel and raises AssertionError if it does not:
the tests apply them to every backend, `test_mutants.py` to kernels with planted faults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import F64, TOLERANCE, Array, Case, Problem, make

from fastlstm.kernels import Rows, Tokens, Weights, reference

Results = dict[str, Array]
GRADIENTS = ("dw_ih", "dw_hh", "db_ih", "db_hh")
OF_ROWS = {"y": 1, "h_n": 0, "c_n": 0, "dx": 1, "dh0": 0, "dc0": 0}  # name -> axis of the rows


def run_forward(kernel: Any, p: Problem, x: Any = None, **options: Any) -> tuple[Results, Any]:
    """Run forward; y starts as NaN, so that what is not written shows."""
    y = np.full((p.rows.T, p.rows.N, p.h0.shape[1]), np.nan, p.h0.dtype)
    x = p.x if x is None else x
    h_n, c_n, saved = kernel.forward(
        x, p.h0, p.c0, p.weights, p.rows, y, reverse=p.reverse, **options
    )
    return {"y": y, "h_n": h_n, "c_n": c_n}, saved


def run(kernel: Any, p: Problem, x: Any = None, n_threads: int = 1) -> Results:
    """Run forward and backward; return all outputs and gradients by name."""
    results, saved = run_forward(kernel, p, x, save=True, n_threads=n_threads)
    dx = np.full_like(x.table if isinstance(x, Tokens) else p.x, np.nan)
    grads = Weights(*(None if w is None else np.zeros_like(w) for w in p.weights))
    dh0, dc0 = kernel.backward(saved, p.dy, p.dh_n, p.dc_n, grads, dx, n_threads=n_threads)
    results.update(dx=dx, dh0=dh0, dc0=dc0)
    results.update((k, g) for k, g in zip(GRADIENTS, grads, strict=True) if g is not None)
    return results


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


def check_reference(kernel: Any, case: Case) -> None:
    """Outputs and gradients equal those of the reference in float64."""
    p = make(case)
    actual, expected = run(kernel, p), run(reference, p.astype(F64))
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        assert value.dtype == case.dtype, f"{name} is {value.dtype}"
        kind = "output" if name in ("y", "h_n", "c_n") else "gradient"
        assert_close(value, expected[name], TOLERANCE[kind, case.dtype], name)
    plain, saved = run_forward(kernel, p)
    assert saved is None
    for name, value in plain.items():
        assert_same(value, actual[name], f"{name} without saving")


def _loss(kernel: Any, p: Problem) -> float:
    out, _ = run_forward(kernel, p)
    terms = ((out["y"], p.dy), (out["h_n"], p.dh_n), (out["c_n"], p.dc_n))
    return sum(float(np.sum(value * weight)) for value, weight in terms)


def _inputs(p: Problem) -> dict[str, Array]:
    """The arrays that a gradient is taken of, by its name."""
    named = {"dx": p.x, "dh0": p.h0, "dc0": p.c0}
    named.update((k, w) for k, w in zip(GRADIENTS, p.weights, strict=True) if w is not None)
    return named


def _slope(kernel: Any, p: Problem, array: Array, direction: Array) -> float:
    """Derivative of the loss along `direction` of `array` by fourth-order central differences."""
    step, start, loss = 1e-3, array.copy(), {}
    for k in (-2, -1, 1, 2):
        array[...] = start + k * step * direction
        loss[k] = _loss(kernel, p)
    array[...] = start
    return (8 * (loss[1] - loss[-1]) - (loss[2] - loss[-2])) / (12 * step)


def check_differences(kernel: Any, case: Case) -> None:
    """Every gradient equals the differences of forward along random directions."""
    p = make(case.with_dtype(F64))
    gradients, rng = run(kernel, p), np.random.default_rng(case.seed)
    for name, array in _inputs(p).items():
        for _ in range(2):
            direction = rng.standard_normal(array.shape)
            direction /= np.sqrt(np.sum(direction**2))
            expected = _slope(kernel, p, array, direction)
            actual = np.sum(gradients[name] * direction)
            error = abs(actual - expected) / max(np.sqrt(np.sum(gradients[name] ** 2)), 1e-3)
            assert error <= TOLERANCE["difference", F64], f"{name}: error {error:.2e} of its norm"


def check_every_difference(kernel: Any, case: Case) -> None:
    """Every element of every gradient equals the difference of forward in that element."""
    p = make(case.with_dtype(F64))
    gradients = run(kernel, p)
    for name, array in _inputs(p).items():
        slopes = np.empty_like(array)
        for at in np.ndindex(array.shape):
            unit = np.zeros_like(array)
            unit[at] = 1
            slopes[at] = _slope(kernel, p, array, unit)
        assert_close(gradients[name], slopes, TOLERANCE["difference", F64], name)


def take_rows(p: Problem, rows: Any, more_steps: int = 0) -> Problem:
    """The problem of some of the rows, in that order, padded with NaN by some more steps."""
    pad = np.full((more_steps, len(rows), 1), np.nan, p.x.dtype)

    def steps(a: Array) -> Array:
        part = a[:, rows]
        return np.concatenate([part, np.broadcast_to(pad, (*pad.shape[:2], a.shape[2]))])

    return Problem(
        x=steps(p.x),
        h0=np.ascontiguousarray(p.h0[rows]),
        c0=np.ascontiguousarray(p.c0[rows]),
        weights=p.weights,
        rows=Rows(p.rows.T + more_steps, len(rows), p.rows.lengths[rows]),
        dy=steps(p.dy),
        dh_n=np.ascontiguousarray(p.dh_n[rows]),
        dc_n=np.ascontiguousarray(p.dc_n[rows]),
        reverse=p.reverse,
    )


def _assert_rows_same(actual: Results, whole: Results, rows: Any, what: str) -> None:
    for name, axis in OF_ROWS.items():
        expected = np.take(whole[name], rows, axis)
        value = actual[name]
        if axis:
            assert not value[len(expected) :].any(), f"{name} behind the last step, {what}"
            value = value[: len(expected)]
        assert_same(value, expected, f"{name}, {what}")


def check_row_independence(kernel: Any, case: Case) -> None:
    """A row's results are the same bits alone, in any order, in any batch, behind any padding."""
    p = make(case)
    whole, rng = run(kernel, p), np.random.default_rng(case.seed)
    for n in range(case.N):
        _assert_rows_same(run(kernel, take_rows(p, [n])), whole, [n], f"row {n} alone")
    order = rng.permutation(case.N)
    _assert_rows_same(run(kernel, take_rows(p, order)), whole, order, "in another order")
    some = order[: max(1, case.N // 2)]
    _assert_rows_same(run(kernel, take_rows(p, some, 3)), whole, some, "half of them, padded")


def check_lengths_of_others(kernel: Any, case: Case) -> None:
    """The first row's results are the same bits when all other rows get other lengths."""
    p = make(case)
    whole, lengths = run(kernel, p), p.rows.lengths.copy()
    lengths[1:] = np.random.default_rng(case.seed).integers(0, case.T + 1, case.N - 1)
    p.rows = Rows(case.T, case.N, lengths)
    other = {k: np.take(v, [0], OF_ROWS[k]) for k, v in run(kernel, p).items() if k in OF_ROWS}
    _assert_rows_same(other, whole, [0], "with other lengths beside it")


def check_threads(kernel: Any, case: Case) -> None:
    """All results, gradients of weights too, are the same bits on any number of threads."""
    p = make(case)
    expected = run(kernel, p)
    # Several times: a race need not show in one. Without saving too: other buffers are used.
    for n_threads in (2, 3, 5) * 4:
        plain, _ = run_forward(kernel, p, n_threads=n_threads)
        for results in (run(kernel, p, n_threads=n_threads), plain):
            for name, value in results.items():
                assert_same(value, expected[name], f"{name} on {n_threads} threads")


def check_chunks(kernel: Any, case: Case, cuts: list[int]) -> None:
    """Steps cut at `cuts`, state carried over, give the same bits as one call."""
    p = make(case)
    whole, _ = run_forward(kernel, p)
    parts, (h, c) = [], (p.h0, p.c0)
    bounds = [0, *cuts, case.T]
    for start, end in zip(bounds, bounds[1:], strict=False):
        lengths = np.clip(p.rows.lengths - start, 0, end - start)
        y = np.empty((end - start, case.N, case.H), case.dtype)
        rows = Rows(end - start, case.N, lengths)
        h, c, _ = kernel.forward(p.x[start:end], h, c, p.weights, rows, y)
        parts.append(y)
    assert_same(np.concatenate(parts), whole["y"], f"y cut at {cuts}")
    assert_same(h, whole["h_n"], f"h_n cut at {cuts}")
    assert_same(c, whole["c_n"], f"c_n cut at {cuts}")


def check_tokens(kernel: Any, case: Case) -> None:
    """Distinct tokens give the same bits as their dense input, and the same gradients."""
    p, rng = make(case), np.random.default_rng(case.seed)
    table = rng.standard_normal((max(1, case.T * case.N // 4), case.I)).astype(case.dtype)
    ids = rng.integers(0, len(table), (case.T, case.N))
    p.x = table[ids]
    dense, sparse = run(kernel, p), run(kernel, p, Tokens(ids, table))
    for name in ("y", "h_n", "c_n"):
        assert_same(sparse[name], dense[name], name)
    summed = np.zeros(table.shape)
    np.add.at(summed, ids, dense.pop("dx"))
    assert_close(sparse.pop("dx"), summed, TOLERANCE["gradient", case.dtype], "dtable")
    for name in sparse:
        tolerance = TOLERANCE["gradient", case.dtype]
        assert_close(sparse[name], dense[name].astype(F64), tolerance, name)


def check_poison_stays(kernel: Any, case: Case, poison: float) -> None:
    """NaN or infinity in one row's input and gradient changes no bit of the other rows."""
    p = make(case)
    clean = run(kernel, p)
    row = int(np.argmax(p.rows.lengths))
    p.x[0, row, -1] = p.dy[0, row, -1] = p.h0[row, 0] = poison
    others = np.delete(np.arange(case.N), row)
    dirty = run(kernel, p)
    for name, axis in OF_ROWS.items():
        expected = np.take(clean[name], others, axis)
        assert_same(np.take(dirty[name], others, axis), expected, f"{name} beside {poison}")
    if np.isnan(poison):
        assert np.isnan(dirty["h_n"][row]).all(), "NaN of the input was lost"
        assert np.isnan(dirty["dh0"][row]).all(), "NaN was lost on the way back"


def check_float_state(call: Callable[[], object], read: Callable[[], int] | None) -> None:
    """After `call` denormal numbers are computed with as before, and the register is unchanged."""
    before = read() if read else 0
    call()
    after = read() if read else 0
    assert np.float32(1e-38) * np.float32(0.1) != 0, "denormals are flushed in the caller"
    assert after == before, f"floating-point state {after:#x}, was {before:#x}"
