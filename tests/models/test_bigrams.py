"""Pairs of words as features: against plain loops, against differences, edge cases."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastlstm.models.bigrams import SCALE, HashedBigrams, hash_pairs

BUCKETS, DIM = 13, 3
# Of (2, 3), (3, 2) and (19999, 7) in 2^18 buckets, worked out with Python's own integers.
EXPECTED = [247123, 90458, 78438]
ROWS = [[2, 3, 4, 5], [], [7], [1, 4, 1, 5, 6, 0, 2, 3], [2, 2, 2], [9, 1]]
LENGTHS = np.array([len(row) for row in ROWS])
WIDTH = 9


def tokens(behind: int = 0) -> Any:
    """The rows as a batch; what stands behind them is not theirs."""
    return np.array([row + [behind] * (WIDTH - len(row)) for row in ROWS])


def layer(dtype: str = "float64") -> HashedBigrams:
    bigrams = HashedBigrams(BUCKETS, DIM, dtype=dtype)
    values = np.random.default_rng(0).standard_normal(bigrams.weight.data.shape)
    bigrams.weight.data[...] = values
    return bigrams


def bucket(a: int, b: int, buckets: int = BUCKETS) -> int:
    return int(hash_pairs(np.array([a]), np.array([b]), buckets)[0])


@pytest.mark.parametrize("behind", [0, 8])
def test_the_sum_is_that_of_plain_loops(behind: int) -> None:
    ours = layer()
    for row, found in zip(ROWS, ours(tokens(behind), LENGTHS), strict=True):
        pairs = [(a, b) for a, b in pairwise(row) if a > 1 and b > 1]
        expected = np.zeros(DIM)
        for a, b in pairs:
            expected += ours.weight.data[bucket(a, b)]
        expected *= SCALE / max(1, len(pairs)) ** 0.5
        np.testing.assert_allclose(found, expected, atol=1e-13)


def test_gradient_against_differences() -> None:
    ours = layer()
    y, tape = ours.forward(tokens(8), LENGTHS)
    np.testing.assert_array_equal(y, ours(tokens(), LENGTHS))
    dy = np.random.default_rng(1).standard_normal(y.shape)
    ours.backward(tape, dy)
    rows = ours.weight.rows
    assert rows is not None
    assert (np.diff(rows.index) > 0).all()
    used = {bucket(a, b) for row in ROWS for a, b in pairwise(row) if a > 1 and b > 1}
    assert set(rows.index.tolist()) == used
    start = ours.weight.data.copy()
    for index, value in zip(rows.index, rows.value, strict=True):
        for d in range(DIM):
            losses = []
            for step in (1e-6, -1e-6):
                ours.weight.data[...] = start
                ours.weight.data[index, d] += step
                losses.append(float(np.sum(ours(tokens(), LENGTHS) * dy)))
            assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(value[d], abs=1e-8)


def test_gradients_add_up() -> None:
    ours, twice = layer(), layer()
    dy = np.random.default_rng(1).standard_normal((len(ROWS), DIM))
    ours.backward(ours.forward(tokens(), LENGTHS)[1], dy)
    for _ in range(2):
        twice.backward(twice.forward(tokens(), LENGTHS)[1], dy)
    assert ours.weight.rows is not None
    assert twice.weight.rows is not None
    np.testing.assert_allclose(twice.weight.rows.value, 2 * ours.weight.rows.value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_text_does_not_depend_on_its_batch(dtype: str) -> None:
    ours = layer(dtype)
    whole = ours(tokens(), LENGTHS)
    assert whole.dtype == dtype
    for n, row in enumerate(ROWS):
        alone = ours(np.array([row or [0]]), [len(row)])
        np.testing.assert_array_equal(alone[0], whole[n])
    order = np.arange(len(ROWS))[::-1]
    np.testing.assert_array_equal(ours(tokens()[order], LENGTHS[order]), whole[order])


def test_texts_without_pairs() -> None:
    ours = layer()
    for batch in ([[7]], [[1, 1, 1]], [[0, 0]], [[3, 1, 4]]):
        y, tape = ours.forward(np.array(batch))
        assert not y.any()
        ours.backward(tape, np.ones_like(y))
    assert ours.weight.rows is None


def test_what_training_never_met_says_nothing() -> None:
    assert not HashedBigrams(BUCKETS, DIM)(tokens(), LENGTHS).any()


def test_the_hash_is_the_same_always_and_everywhere() -> None:
    """Models on disk depend on it."""
    assert [bucket(2, 3, 1 << 18), bucket(3, 2, 1 << 18), bucket(19_999, 7, 1 << 18)] == EXPECTED
    for dtype in (np.int32, np.int64, np.uint16):
        found = hash_pairs(np.array([2], dtype), np.array([3], dtype), 1 << 18)
        assert found.tolist() == EXPECTED[:1]


def test_the_hash_spreads_pairs_evenly() -> None:
    first, second = (a.ravel() for a in np.meshgrid(np.arange(2, 402), np.arange(2, 402)))
    for buckets in (1 << 8, 1000):
        counts = np.bincount(hash_pairs(first, second, buckets), minlength=buckets)
        expected = len(first) / buckets
        # chi-squared over its degrees of freedom: near 1 for numbers drawn at random
        assert ((counts - expected) ** 2 / expected).sum() / (buckets - 1) == pytest.approx(
            1, abs=0.3
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "buckets is 0, expected at least 1"),
        ((5, 0), "dim is 0, expected at least 1"),
    ],
)
def test_wrong_sizes(arguments: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        HashedBigrams(*arguments)


def test_wrong_inputs() -> None:
    ours = layer()
    with pytest.raises(TypeError, match="tokens has dtype float64, expected integers"):
        ours(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=re.escape("lengths[0] is 4, expected 0 to 3")):
        ours(np.ones((1, 3), int), [4])
    y, tape = ours.forward(tokens(), LENGTHS)
    with pytest.raises(ValueError, match="dy has shape"):
        ours.backward(tape, y[:2])
