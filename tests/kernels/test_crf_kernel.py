"""Conditional random fields: every backend against all paths counted out, and the reference."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import Array
from checks import assert_same, check_float_state

from fastlstm.kernels.crf import CrfLoss, CrfScores


class Problem:
    """Scores, labels and lengths of a few rows."""

    def __init__(self, N: int, T: int, K: int, scale: float = 1.0, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.x = scale * rng.standard_normal((N, T, K))
        self.labels = rng.integers(0, K, (N, T))
        self.lengths = rng.integers(0, T + 1, N)
        self.lengths[: min(3, N)] = [T, 0, 1][: min(3, N)]
        self.scores = CrfScores(
            scale * rng.standard_normal(K),
            scale * rng.standard_normal((K, K)),
            scale * rng.standard_normal(K),
        )

    def loss(self, kernel: Kernel, **options: Any) -> CrfLoss:
        return kernel.backend.crf(self.x, self.labels, self.lengths, self.scores, **options)

    def viterbi(self, kernel: Kernel, **options: Any) -> Any:
        return kernel.backend.viterbi(self.x, self.lengths, self.scores, **options)


def counted_out(p: Problem, n: int) -> tuple[Array, Any, Array, CrfScores]:
    """Scores of all paths of a row, these paths, and the gradient of its loss."""
    start, between, end = p.scores
    L, K = int(p.lengths[n]), len(start)
    paths = list(product(range(K), repeat=L))
    scores = []
    for path in paths:
        one = start[path[0]] + end[path[-1]] + sum(p.x[n, t, k] for t, k in enumerate(path))
        scores.append(one + sum(between[i, k] for i, k in zip(path, path[1:], strict=False)))
    found = np.array(scores)
    share = np.exp(found - np.logaddexp.reduce(found))
    dx, d = np.zeros(p.x.shape[1:]), CrfScores(*(np.zeros_like(s) for s in p.scores))
    true = (tuple(p.labels[n, :L].tolist()), -1.0)
    for path, weight in [*zip(paths, share, strict=True), true]:
        d.start[path[0]] += weight
        d.end[path[-1]] += weight
        for t, k in enumerate(path):
            dx[t, k] += weight
        for i, k in zip(path, path[1:], strict=False):
            d.between[i, k] += weight
    return found, paths, dx, d


@pytest.mark.parametrize(("T", "K"), [(1, 1), (1, 3), (2, 1), (2, 4), (4, 3), (5, 2)])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_all_paths_counted_out(kernel: Kernel, T: int, K: int, scale: float) -> None:
    p = Problem(6, T, K, scale)
    losses, dx, dscores = p.loss(kernel)
    labels, best = p.viterbi(kernel)
    assert dx is not None
    assert dscores is not None
    sums = CrfScores(*(np.zeros_like(s) for s in p.scores))
    for n, length in enumerate(p.lengths):
        if not length:
            assert losses[n] == best[n] == 0
            assert not dx[n].any()
            assert not labels[n].any()
            continue
        scores, paths, dx_n, d = counted_out(p, n)
        true = scores[paths.index(tuple(p.labels[n, :length].tolist()))]
        assert losses[n] == pytest.approx(np.logaddexp.reduce(scores) - true, rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(dx[n], dx_n, atol=1e-9)
        assert tuple(labels[n, :length].tolist()) == paths[scores.argmax()]
        assert not labels[n, length:].any()
        assert best[n] == pytest.approx(scores.max(), rel=1e-12)
        for total, part in zip(sums, d, strict=True):
            total += part
    for name, found, total in zip(CrfScores._fields, dscores, sums, strict=True):
        np.testing.assert_allclose(found, total, atol=1e-8, err_msg=name)


def test_gradients_against_differences(kernel: Kernel) -> None:
    p = Problem(5, 7, 4)
    _, dx, dscores = p.loss(kernel)
    assert dscores is not None
    for name, array, d in [("x", p.x, dx), *zip(CrfScores._fields, p.scores, dscores, strict=True)]:
        along = np.random.default_rng(1).standard_normal(array.shape)
        kept, found = array.copy(), []
        for step in (1e-6, -1e-6):
            array[...] = kept + step * along
            found.append(p.loss(kernel, gradient=False).losses.sum())
        array[...] = kept
        rise = (found[0] - found[1]) / 2e-6
        assert rise == pytest.approx(float(np.sum(d * along)), rel=1e-7, abs=1e-7), name


@pytest.mark.parametrize(("N", "T", "K"), [(1, 1, 1), (9, 6, 5), (4, 30, 17), (3, 5, 50)])
@pytest.mark.parametrize("scale", [0.0, 1.0, 300.0, 1e5])
def test_the_engines_agree(compiled_kernel: Kernel, N: int, T: int, K: int, scale: float) -> None:
    """Also where the exponentials of scores are too small or too large for numbers."""
    p = Problem(N, T, K, scale)
    found, expected = p.loss(compiled_kernel), p.loss(Kernel(name="reference"))
    # losses are differences of sums of T scores
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-9, atol=1e-12 * scale * T)
    # as are the logarithms of probabilities
    atol = 1e-9 + 1e-13 * scale * T
    np.testing.assert_allclose(found.dx, expected.dx, atol=atol)
    assert found.dscores is not None
    assert expected.dscores is not None
    for name, one, other in zip(CrfScores._fields, found.dscores, expected.dscores, strict=True):
        np.testing.assert_allclose(one, other, atol=N * T * atol, err_msg=name)
    labels, best = p.viterbi(compiled_kernel)
    others, score = p.viterbi(Kernel(name="reference"))
    assert_same(labels, others, "labels")
    assert_same(best, score, "scores")


def test_what_is_forbidden_stays_so(kernel: Kernel) -> None:
    """Labels that never follow one another, and one that a step does not allow."""
    p = Problem(4, 9, 3)
    p.lengths[:] = 9
    p.scores.between[0, 1] = p.scores.between[2, 2] = -1e4
    p.x[:, 4, 0] = -np.inf
    p.labels[...] = [0, 2, 1, 0, 2, 1, 1, 0, 0]
    losses, dx, dscores = p.loss(kernel)
    assert np.isfinite(losses).all()
    assert dx is not None
    assert dscores is not None
    assert (dx[:, 4, 0] == 0).all()
    assert dscores.between[0, 1] == dscores.between[2, 2] == 0
    labels, _ = p.viterbi(kernel)
    assert (labels[:, 4] != 0).all()
    pairs = set(zip(labels[:, :-1].ravel().tolist(), labels[:, 1:].ravel().tolist(), strict=True))
    assert not pairs & {(0, 1), (2, 2)}


def test_a_label_that_follows_none(kernel: Kernel) -> None:
    """Its score is minus infinity behind each: it can only begin."""
    p = Problem(4, 5, 3)
    p.lengths[:] = 5
    p.scores.between[:, 1] = -np.inf
    p.labels[...] = [1, 0, 2, 2, 0]
    losses, dx, dscores = p.loss(kernel)
    assert np.isfinite(losses).all()
    assert dx is not None
    assert dscores is not None
    assert (dx[:, 1:, 1] == 0).all()
    assert (dx[:, 0, 1] < 0).all()
    assert (dscores.between[:, 1] == 0).all()
    assert (p.viterbi(kernel)[0][:, 1:] != 1).all()


def test_long_sequences_do_not_overflow(kernel: Kernel) -> None:
    p = Problem(2, 3000, 4, scale=20.0)
    p.lengths[:] = 3000
    losses, dx, _ = p.loss(kernel)
    assert dx is not None
    assert np.isfinite(losses).all()
    assert (losses > 1000).all()
    np.testing.assert_allclose(dx.sum(axis=2), 0, atol=1e-6)


def test_a_row_of_a_field_does_not_depend_on_its_neighbours(kernel: Kernel) -> None:
    p = Problem(7, 6, 5)
    losses, dx, _ = p.loss(kernel)
    labels, best = p.viterbi(kernel)
    assert dx is not None
    for n in range(7):
        own = kernel.backend.crf(p.x[[n]], p.labels[[n]], p.lengths[[n]], p.scores)
        assert own.dx is not None
        assert_same(own.losses[0], losses[n], "loss")
        assert_same(own.dx[0], dx[n], "dx")
        one, score = kernel.backend.viterbi(p.x[[n]], p.lengths[[n]], p.scores)
        assert_same(one[0], labels[n], "labels")
        assert_same(score[0], best[n], "score")


def test_any_threads_and_instructions_have_the_same_bits_of_a_field(native: Any) -> None:
    p, before = Problem(33, 40, 23), native.isa()
    on = Kernel(name="native")
    expected, paths = p.loss(on), p.viterbi(on)
    assert expected.dscores is not None
    try:
        for isa in native.supported_isas():
            native.set_isa(isa)
            for n_threads in (2, 3, 8):
                found = p.loss(on, n_threads=n_threads)
                assert found.dscores is not None
                for one, other in zip(
                    [*found[:2], *found.dscores], [*expected[:2], *expected.dscores], strict=True
                ):
                    assert_same(one, other, "bits")
                for one, other in zip(p.viterbi(on, n_threads=n_threads), paths, strict=True):
                    assert_same(one, other, "bits")
    finally:
        native.set_isa(before)


def test_nothing_past_a_length_is_read(kernel: Kernel) -> None:
    p = Problem(6, 8, 3)
    expected, paths = p.loss(kernel), p.viterbi(kernel)
    past = np.arange(8) >= p.lengths[:, None]
    p.x[past], p.labels[past] = np.nan, -7
    found = p.loss(kernel)
    assert_same(found.losses, expected.losses, "losses")
    assert_same(found.dx, expected.dx, "dx")
    assert found.dscores is not None
    assert expected.dscores is not None
    assert_same(found.dscores.between, expected.dscores.between, "between")
    assert_same(p.viterbi(kernel)[0], paths[0], "labels")


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(kernel: Kernel, poison: float) -> None:
    p = Problem(4, 5, 3)
    p.lengths[:] = 5
    expected, paths = p.loss(kernel), p.viterbi(kernel)
    p.x[2, 3, 1] = poison
    losses, dx, _ = p.loss(kernel)
    labels, best = p.viterbi(kernel)
    assert dx is not None
    assert expected.dx is not None
    assert not np.isfinite(losses[2])
    assert not np.isfinite(best[2])
    assert ((labels >= 0) & (labels < 3)).all()
    others = [0, 1, 3]
    assert_same(losses[others], expected.losses[others], "losses")
    assert_same(dx[others], expected.dx[others], "dx")
    assert_same(labels[others], paths[0][others], "labels")
    assert_same(labels, p.viterbi(Kernel(name="reference"))[0], "labels")


def test_of_equal_paths_the_lowest_labels(kernel: Kernel) -> None:
    p = Problem(3, 4, 3, scale=0.0)
    labels, best = p.viterbi(kernel)
    assert not labels.any()
    assert not best.any()
    p.scores.between[...] = 1 - np.eye(3)
    p.lengths[:] = 4
    assert p.viterbi(kernel)[0].tolist() == [[1, 0, 1, 0]] * 3


def test_other_layouts_and_only_the_losses(kernel: Kernel) -> None:
    p = Problem(6, 5, 4)
    expected = p.loss(kernel)
    only = p.loss(kernel, gradient=False)
    assert only.dx is only.dscores is None
    assert_same(only.losses, expected.losses, "losses")
    p.x, p.labels = np.asfortranarray(p.x), np.asfortranarray(p.labels)
    p.x.flags.writeable = p.labels.flags.writeable = p.lengths.flags.writeable = False
    p.scores = CrfScores(*(np.asfortranarray(s) for s in p.scores))
    before = p.x.copy()
    assert_same(p.loss(kernel).losses, expected.losses, "losses")
    assert_same(p.x, before, "x")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": np.zeros((2, 3))}, "x has shape (2, 3), expected (any, any, any)"),
        ({"x": np.zeros((2, 0, 3))}, "x has shape (2, 0, 3), expected no empty axis"),
        ({"x": np.zeros((2, 3, 4), "f4")}, "x is an array of float32, expected float64"),
        ({"x": [1.0]}, "x is a list"),
        ({"start": np.zeros(3)}, "start has shape (3,), expected (4,)"),
        ({"between": np.zeros((4, 3))}, "between has shape (4, 3), expected (4, 4)"),
        ({"end": np.zeros(4, "f4")}, "end is an array of float32"),
        ({"lengths": np.array([3, 4])}, "lengths[1] is 4, expected 0 to 3"),
        ({"lengths": np.array([-1, 3])}, "lengths[0] is -1, expected 0 to 3"),
        ({"lengths": np.array([3])}, "lengths has shape (1,), expected (2,)"),
        ({"lengths": np.array([3, 2], "i4")}, "lengths is an array of int32"),
        ({"labels": np.full((2, 3), 4)}, "labels[0, 0] is 4, expected 0 to 3"),
        ({"labels": np.array([[0, 0, 0], [0, -1, 9]])}, "labels[1, 1] is -1, expected 0 to 3"),
        ({"labels": np.zeros((2, 2), int)}, "labels has shape (2, 2), expected (2, 3)"),
        ({"labels": np.zeros((2, 3))}, "labels is an array of float64"),
    ],
)
def test_wrong_fields(kernel: Kernel, wrong: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "x": np.zeros((2, 3, 4)), "labels": np.zeros((2, 3), int), "lengths": np.array([3, 2]),
        "start": np.zeros(4), "between": np.zeros((4, 4)), "end": np.zeros(4), **wrong,
    }  # fmt: skip
    scores = CrfScores(*(given.pop(name) for name in CrfScores._fields))
    with pytest.raises((TypeError, ValueError, IndexError), match=re.escape(message)):
        kernel.backend.crf(**given, scores=scores)
    del given["labels"]
    if "labels" not in wrong:
        with pytest.raises((TypeError, ValueError), match=re.escape(message)):
            kernel.backend.viterbi(**given, scores=scores)


def test_a_field_leaves_the_float_state(native_kernel: Kernel) -> None:
    p = Problem(3, 4, 3)
    check_float_state(lambda: p.loss(native_kernel), native_kernel.backend.mxcsr)


def test_the_labels_of_the_caller_stay(kernel: Kernel) -> None:
    p = Problem(3, 4, 3)
    kept = p.labels.copy(), p.lengths.copy()
    p.labels[1] = -5  # of length 0
    p.loss(kernel)
    assert (p.labels[1] == -5).all()
    assert_same(p.labels[[0, 2]], kept[0][[0, 2]], "labels")
    assert_same(p.lengths, kept[1], "lengths")
