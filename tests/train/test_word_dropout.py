"""Word dropout."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.text import PAD, UNK, Batch
from fastlstm.train.classifier.word_dropout import WordDropout


def batch() -> Batch:
    tokens = np.full((50, 200), 7, dtype=np.int32)
    lengths = np.arange(50) * 4
    tokens[np.arange(200) >= lengths[:, None]] = PAD
    return Batch(tokens, lengths, np.zeros(50, np.int64), np.arange(50))


def test_the_chosen_fraction_of_words_becomes_unknown_and_nothing_else_changes() -> None:
    before = batch()
    after = WordDropout(0.3)(before, np.random.default_rng(0))
    hidden = after.tokens != before.tokens
    assert (after.tokens[hidden] == UNK).all()
    assert not hidden[before.tokens == PAD].any()
    assert hidden.sum() / before.lengths.sum() == pytest.approx(0.3, abs=0.03)
    assert after.tokens.dtype == before.tokens.dtype
    assert after.lengths is before.lengths
    assert (before.tokens != UNK).all()  # the given batch is as it was


def test_it_is_a_function_of_the_generator() -> None:
    results = [WordDropout(0.5)(batch(), np.random.default_rng(s)).tokens for s in (1, 1, 2)]
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_probability_out_of_range(p: float) -> None:
    with pytest.raises(ValueError, match=f"p is {p}"):
        WordDropout(p)
