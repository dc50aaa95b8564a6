"""Measuring a model."""

from __future__ import annotations

import numpy as np
import pytest
from toy import BATCH, BagOfWords, Problem, texts

from fastlstm.nn import bce_with_logits
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
