"""Measuring a model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from toy import BATCH, BagOfWords, Problem, texts

from fastlstm.nn import bce_with_logits, cross_entropy
from fastlstm.train import evaluate


def test_evaluate_weighs_batches_by_size() -> None:
    model, data = BagOfWords(), texts(BATCH + 1)
    problem = Problem(data)
    total = evaluate(model, problem.batches(0, 0), bce_with_logits)
    logits = np.concatenate([model(b.tokens, b.lengths) for b in problem.batches(0, 0)])
    labels = np.concatenate([b.labels for b in problem.batches(0, 0)])
    assert total.loss == pytest.approx(bce_with_logits(logits, labels)[0], rel=1e-12)
    assert total.accuracy == np.mean((logits > 0) == labels)
    assert total.examples == BATCH + 1
    assert total.words == len(data.tokens)


class Sums(NamedTuple):
    """A batch of another kind than texts: two arrays to be added, more labels than rows."""

    inputs: tuple[np.ndarray, np.ndarray]
    labels: np.ndarray
    words: int


def test_a_batch_says_itself_what_the_model_is_called_with() -> None:
    rng = np.random.default_rng(0)
    parts = [(rng.standard_normal((n, 3)), rng.standard_normal((n, 3))) for n in (4, 2)]
    batches = [Sums(part, np.arange(len(part[0])) % 3, 10) for part in parts]
    total = evaluate(lambda a, b: a + b, batches, cross_entropy)
    logits = np.concatenate([a + b for a, b in parts])
    labels = np.concatenate([batch.labels for batch in batches])
    assert total.loss == pytest.approx(cross_entropy(logits, labels)[0], rel=1e-12)
    assert total.accuracy == np.mean(logits.argmax(axis=1) == labels)
    assert (total.examples, total.words) == (6, 20)
