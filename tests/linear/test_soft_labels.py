"""Texts whose class is known with a probability only."""

from __future__ import annotations

import numpy as np
import pytest
from linear_texts import LABELS, TEXTS, draw

from fastlstm.linear import BagOfNgrams, LinearTraining, NgramOptions, TokenRows

ROWS = TokenRows.from_texts(TEXTS)
EXACT = NgramOptions(tolerance=1e-8)
SOFT = np.array([0.9, 0.25, 0.5, 0.0, 0.125, 1.0, 0.75, 0.4])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_of_0_and_1_have_the_bits_of_classes(dtype: type) -> None:
    hard = LinearTraining(ROWS, LABELS, 2)
    soft = LinearTraining(ROWS, np.array(LABELS, dtype), 2)
    np.testing.assert_array_equal(soft.fit().logits(ROWS), hard.fit().logits(ROWS))
    np.testing.assert_array_equal(soft.cross_logits(2), hard.cross_logits(2))


def test_a_text_in_doubt_counts_for_both_classes() -> None:
    words = NgramOptions(chars=None, tolerance=1e-8)
    soft = BagOfNgrams.fit(ROWS, SOFT, 2, words, sample_weight=np.arange(1, 9))
    index = np.repeat(np.arange(8), 2)
    labels, share = np.tile([0, 1], 8), np.stack([1 - SOFT, SOFT], 1).ravel()
    weight = np.arange(1, 9)[index] * share
    twice = BagOfNgrams.fit(ROWS.select(index), labels, 2, words, sample_weight=weight)
    np.testing.assert_allclose(soft.scales, twice.scales, rtol=1e-6)
    np.testing.assert_allclose(soft.logits(ROWS), twice.logits(ROWS), atol=1e-3)


def test_the_other_probabilities_turn_the_logits() -> None:
    one, other = (BagOfNgrams.fit(ROWS, labels, 2, EXACT) for labels in (SOFT, 1 - SOFT))
    np.testing.assert_allclose(one.scales, other.scales, rtol=1e-6)
    np.testing.assert_allclose(one.logits(ROWS), -other.logits(ROWS), atol=2e-3)


def test_soft_labels_teach() -> None:
    """What one classifier says, another one learns, better than from its classes."""
    texts, labels = draw(400)
    rows, half = TokenRows.from_texts(texts), np.arange(200)
    teacher = BagOfNgrams.fit(rows.select(half), labels[half], 2).logits(rows)
    probability = 1 / (1 + np.exp(-teacher))
    soft, hard = (
        BagOfNgrams.fit(rows, given, 2).logits(rows) for given in (probability, (teacher > 0) * 1)
    )
    assert np.abs(soft - teacher).mean() < np.abs(hard - teacher).mean()


def test_soft_labels_of_some_texts() -> None:
    kept = np.array([0, 1, 3, 4, 6])
    some = LinearTraining(ROWS, SOFT, 2, EXACT).fit(kept)
    alone = BagOfNgrams.fit(ROWS.select(kept), SOFT[kept], 2, EXACT)
    np.testing.assert_allclose(some.logits(ROWS), alone.logits(ROWS), atol=2e-3)
