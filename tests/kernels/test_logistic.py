"""Logistic regressions on sparse rows: every backend against the objective that they minimize."""

from __future__ import annotations

import re
from threading import Thread
from typing import Any

import numpy as np
import pytest
from alarm import alarm
from bound import Kernel
from sparse_rows import Array, draw, in_doubt, objective, slope

from fastlstm.kernels import backend
from fastlstm.kernels.sparse import EndedError, LogisticProblem, LogisticSolution, SparseRows

EXACT = {"tolerance": 1e-8, "max_epochs": 2000}


@pytest.mark.parametrize(("classes", "doubt"), [(2, False), (2, True), (4, False)])
def test_the_slope_is_nil_where_it_ends(kernel: Kernel, classes: int, doubt: bool) -> None:
    x, problem = draw(classes=classes)
    problem = in_doubt(problem) if doubt else problem
    found = kernel.backend.logistic(problem._replace(**EXACT))
    assert found.weights.shape == (problem.problems, 30)
    for k, (w, b) in enumerate(zip(found.weights.astype(float), found.intercept, strict=True)):
        start = np.abs(slope(x, problem, k, np.zeros(30), 0.0)).max()
        assert np.abs(slope(x, problem, k, w, b)).max() < 1e-3 * start
        assert 1 < found.epochs[k] < 2000


@pytest.mark.parametrize("doubt", [False, True])
def test_the_slope_is_that_of_the_objective(doubt: bool) -> None:
    x, problem = draw()
    problem = in_doubt(problem) if doubt else problem
    w, b = np.random.default_rng(1).standard_normal(30), 0.3
    for f in range(30):
        step = 1e-5 * np.eye(30)[f]
        rise = objective(x, problem, 0, w + step, b) - objective(x, problem, 0, w - step, b)
        assert rise / 2e-5 == pytest.approx(slope(x, problem, 0, w, b)[f], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("doubt", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_tolerance_is_met(seed: int, doubt: bool) -> None:
    x, problem = draw(200, 100, seed=seed)
    problem = in_doubt(problem) if doubt else problem
    least, epochs = _reached(x, problem._replace(**EXACT)), []
    for tolerance in (1e-1, 1e-2, 1e-4):
        reached = _reached(x, problem._replace(tolerance=tolerance))
        assert least * (1 - 1e-9) <= reached <= least * (1 + tolerance)
        epochs.append(backend().logistic(problem._replace(tolerance=tolerance)).epochs[0])
    assert epochs[0] < epochs[1] < epochs[2]


def _reached(x: Array, problem: LogisticProblem) -> float:
    found = backend().logistic(problem)
    return objective(x, problem, 0, found.weights[0].astype(float), float(found.intercept[0]))


@pytest.mark.parametrize("classes", [2, 3])
def test_scikit_learn_finds_the_same(classes: int) -> None:
    svm = pytest.importorskip("sklearn.linear_model")
    x, problem = draw(150, 40, classes)
    problem = problem._replace(cost=np.full(150, 10.0), **EXACT)
    found = backend().logistic(problem)
    for k in range(problem.problems):
        y = problem.targets == (1 if classes == 2 else k)
        other = svm.LogisticRegression(C=10, solver="liblinear", dual=True, tol=1e-8, max_iter=9999)
        other.fit(x, y)
        np.testing.assert_allclose(found.weights[k], other.coef_[0], atol=2e-3)
        np.testing.assert_allclose(found.intercept[k], other.intercept_[0], atol=2e-3)


@pytest.mark.parametrize("doubt", [False, True])
def test_the_engines_agree(kernel: Kernel, doubt: bool) -> None:
    """They sum in other orders, so not to the last bit; the passes are the same ones."""
    problem = in_doubt(draw(80, 40)[1]) if doubt else draw(80, 40, 3)[1]
    found, expected = kernel.backend.logistic(problem), backend("reference").logistic(problem)
    np.testing.assert_array_equal(found.epochs, expected.epochs)
    np.testing.assert_allclose(found.weights, expected.weights, atol=1e-5)
    np.testing.assert_allclose(found.intercept, expected.intercept, atol=1e-9)


def test_any_threads_and_instructions_have_the_same_bits(native: Any) -> None:
    problems = (draw(300, 60, 5)[1], in_doubt(draw(300, 60)[1]))
    before, expected = native.isa(), [native.logistic(problem) for problem in problems]
    try:
        for isa in native.supported_isas():
            native.set_isa(isa)
            for n_threads in (1, 2, 3, 8):
                for problem, bits in zip(problems, expected, strict=True):
                    _same(native.logistic(problem._replace(n_threads=n_threads)), bits)
    finally:
        native.set_isa(before)


def _same(found: LogisticSolution, expected: LogisticSolution) -> None:
    for a, e in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, e)


def test_a_seed_is_an_order_of_rows(compiled_kernel: Kernel) -> None:
    _, problem = draw(200, 60)
    first = compiled_kernel.backend.logistic(problem)
    _same(compiled_kernel.backend.logistic(problem), first)
    for seed in (-1, 1, 2**64 + 5, 10**30):
        other = compiled_kernel.backend.logistic(problem._replace(seed=seed))
        assert (other.weights != first.weights).any()
        np.testing.assert_allclose(other.weights, first.weights, atol=0.2)


def test_a_cost_of_two_is_a_row_twice(compiled_kernel: Kernel) -> None:
    x, problem = draw(40, 20)
    problem = problem._replace(cost=np.ones(40), **EXACT)
    doubled = compiled_kernel.backend.logistic(problem._replace(cost=np.full(40, 2.0)))
    targets = np.tile(problem.targets, 2)
    repeated = compiled_kernel.backend.logistic(
        problem._replace(rows=_twice(problem.rows), targets=targets, cost=np.ones(80))
    )
    np.testing.assert_allclose(doubled.weights, repeated.weights, atol=1e-3)


def _twice(rows: SparseRows) -> SparseRows:
    offsets, columns, values = rows
    return SparseRows(
        np.concatenate([offsets, offsets[-1] + offsets[1:]]),
        np.tile(columns, 2),
        np.tile(values, 2),
    )


def test_a_row_in_doubt_is_one_of_either_class(kernel: Kernel) -> None:
    _, problem = draw(40, 20)
    exact = problem._replace(**EXACT)
    doubtful = in_doubt(exact)
    assert doubtful.doubt is not None
    found = kernel.backend.logistic(doubtful)
    cost = np.concatenate([(1 - doubtful.doubt) * exact.cost, doubtful.doubt * exact.cost])
    both = kernel.backend.logistic(
        exact._replace(
            rows=_twice(exact.rows),
            targets=np.concatenate([exact.targets, 1 - exact.targets]),
            cost=np.maximum(cost, 1e-30),
        )
    )
    np.testing.assert_allclose(found.weights, both.weights, atol=1e-3)
    np.testing.assert_allclose(found.intercept, both.intercept, atol=1e-3)


def test_no_doubt_has_the_bits_of_none(kernel: Kernel) -> None:
    _, problem = draw(40, 20)
    certain = problem._replace(doubt=np.zeros(40))
    _same(kernel.backend.logistic(certain), kernel.backend.logistic(problem))


def test_a_row_that_may_be_of_either_class_says_nothing(kernel: Kernel) -> None:
    _, problem = draw(40, 20)
    found = kernel.backend.logistic(problem._replace(doubt=np.full(40, 0.5)))
    np.testing.assert_allclose(found.weights, 0, atol=1e-6)
    assert found.intercept[0] == pytest.approx(0, abs=1e-6)


def test_a_class_without_rows_is_improbable(compiled_kernel: Kernel) -> None:
    _, problem = draw(50, 20, 3)
    problem = problem._replace(classes=4)
    found = compiled_kernel.backend.logistic(problem)
    assert found.intercept[3] < -2
    only = problem._replace(classes=2, targets=np.zeros(50, np.int64))
    assert compiled_kernel.backend.logistic(only).intercept[0] < -2


def test_nothing_to_learn_from(kernel: Kernel) -> None:
    none = SparseRows(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    problem = LogisticProblem(none, 7, np.zeros(0, np.int64), 3, np.zeros(0))
    found = kernel.backend.logistic(problem)
    np.testing.assert_array_equal(found.weights, np.zeros((3, 7)))
    np.testing.assert_array_equal(found.epochs, 0)
    empty = none._replace(offsets=np.zeros(4, np.int64))
    problem = LogisticProblem(empty, 0, np.array([1, 1, 0]), 2, np.full(3, 100.0))
    found = kernel.backend.logistic(problem._replace(**EXACT))
    assert found.weights.shape == (1, 0)
    assert found.intercept[0] == pytest.approx(np.log(2), rel=0.05)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e3, 1e30])
@pytest.mark.parametrize("cost", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("doubt", [False, True])
def test_numbers_of_any_size_end(
    compiled_kernel: Kernel, scale: float, cost: float, doubt: bool
) -> None:
    _, problem = draw()
    problem = in_doubt(problem) if doubt else problem
    values = (problem.rows.values * scale).astype(np.float32)
    found = compiled_kernel.backend.logistic(
        problem._replace(rows=problem.rows._replace(values=values), cost=np.full(60, cost))
    )
    assert found.epochs[0] <= problem.max_epochs
    assert np.isfinite(found.intercept).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"classes": 1}, "classes is 1, expected 2 or more"),
        ({"tolerance": -1.0}, "tolerance is -1.0"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
        ({"max_epochs": 0}, "max_epochs 0"),
        ({"features": 29}, "expected 0 to 28"),
        ({"features": 2**31}, "there are 2147483648 features"),
        ({"features": -1}, "there are -1 features"),
        ({"targets": np.zeros(59, np.int64)}, "targets has shape (59,), expected (60,)"),
        ({"targets": np.zeros(60, np.int32)}, "targets is an array of int32"),
        ({"targets": np.full(60, 2)}, "targets[0] is 2, expected 0 to 1"),
        ({"targets": np.full(60, -1)}, "targets[0] is -1, expected 0 to 1"),
        ({"cost": np.zeros(60)}, "cost[0] is 0.0"),
        ({"cost": np.full(60, np.nan)}, "cost[0] is nan"),
        ({"cost": np.full(60, 1e31)}, "cost[0] is 1e+31"),
        ({"cost": [1.0] * 60}, "cost is a list"),
        ({"doubt": np.zeros(59)}, "doubt has shape (59,), expected (60,)"),
        ({"doubt": np.zeros(60, np.float32)}, "doubt is an array of float32"),
        ({"doubt": np.full(60, -1e-9)}, "doubt[0] is -1e-09, expected 0 to 1"),
        ({"doubt": np.full(60, 1.5)}, "doubt[0] is 1.5, expected 0 to 1"),
        ({"doubt": np.full(60, np.nan)}, "doubt[0] is nan, expected 0 to 1"),
        ({"doubt": np.zeros(60), "classes": 3}, "doubt is given for 3 classes, expected 2"),
        ({"ended": np.zeros(1)}, "ended"),
        ({"ended": np.zeros(2, np.int32)}, "ended"),
    ],
)
def test_wrong_problems(kernel: Kernel, wrong: dict[str, Any], message: str) -> None:
    problem = draw()[1]._replace(**wrong)
    with pytest.raises((TypeError, ValueError, IndexError), match=re.escape(message)):
        kernel.backend.logistic(problem)


class Stop(Exception):
    """Raised by a handler."""


@pytest.mark.parametrize("n_threads", [1, 2])
def test_regressions_end_early(native: Any, n_threads: int) -> None:
    _, problem = draw(4000, 50, 3)
    endless = problem._replace(tolerance=0.0, max_epochs=10**9, n_threads=n_threads)

    def stop() -> None:
        raise Stop

    state = native.mxcsr()
    with alarm(stop, 0.05), pytest.raises(Stop):
        native.logistic(endless)
    assert native.mxcsr() == state


def test_another_thread_ends_it(compiled_kernel: Kernel) -> None:
    ended, told = np.zeros(1, np.int32), list[Exception]()
    endless = draw(4000, 50, 3)[1]._replace(tolerance=0.0, max_epochs=10**9, ended=ended)

    def solve() -> None:
        try:
            compiled_kernel.backend.logistic(endless)
        except EndedError as error:
            told.append(error)

    thread = Thread(target=solve)
    thread.start()
    ended[0] = 1
    thread.join()
    assert [str(error) for error in told] == ["another thread has ended this call"]


def test_it_was_ended_before(kernel: Kernel) -> None:
    problem = draw()[1]
    with pytest.raises(EndedError):
        kernel.backend.logistic(problem._replace(ended=np.ones(1, np.int32)))
    going_on = kernel.backend.logistic(problem._replace(ended=np.zeros(1, np.int32)))
    _same(going_on, kernel.backend.logistic(problem))
