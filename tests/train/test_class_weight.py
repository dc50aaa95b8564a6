"""ClassWeightedLoss: torch's numbers, and equal weights are none."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.nn import bce_with_logits, cross_entropy
from fastlstm.train.classifier.class_weight import ClassWeightedLoss

RNG = np.random.default_rng(0)
LABELS = np.array([0, 2, 2, 1, 2, 0, 2])
LOGITS = RNG.standard_normal((7, 3))


def test_against_torch() -> None:
    torch = pytest.importorskip("torch")
    weights = [0.5, 3.0, 1.25]
    z = torch.tensor(LOGITS, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        z, torch.tensor(LABELS), weight=torch.tensor(weights, dtype=torch.double)
    )
    expected.backward()
    loss, d = ClassWeightedLoss(weights)(LOGITS, LABELS)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(d, z.grad.numpy(), rtol=0, atol=1e-14)


def test_of_two_classes_is_the_weighted_mean() -> None:
    labels, z = np.array([0, 1, 1, 0]), RNG.standard_normal(4)
    each = np.array([bce_with_logits(z[n : n + 1], labels[n : n + 1])[0] for n in range(4)])
    w = np.array([0.5, 2.0])[labels]
    loss, d = ClassWeightedLoss([0.5, 2.0])(z, labels)
    assert loss == pytest.approx(np.sum(w * each) / w.sum(), rel=1e-12)
    sigmoid = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(d, w * (sigmoid - labels) / w.sum(), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("logits", "labels", "plain", "count"),
    [(LOGITS, LABELS, cross_entropy, 3), (LOGITS[:, 0], LABELS > 1, bce_with_logits, 2)],
    ids=["many", "two"],
)
def test_equal_weights_are_none(logits: Any, labels: Any, plain: Any, count: int) -> None:
    labels = labels.astype(int)
    loss, d = ClassWeightedLoss([7.0] * count)(logits, labels)
    expected, gradient = plain(logits, labels)
    assert loss == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(d, gradient, rtol=0, atol=1e-15)


def test_a_class_of_weight_0_does_not_count() -> None:
    loss, d = ClassWeightedLoss([1.0, 0.0, 1.0])(LOGITS, LABELS)
    rows = LABELS != 1
    assert loss == pytest.approx(cross_entropy(LOGITS[rows], LABELS[rows])[0], rel=1e-12)
    assert not d[~rows].any()
    loss, d = ClassWeightedLoss([1.0, 0.0, 1.0])(LOGITS[~rows], LABELS[~rows])
    assert loss == 0
    assert not d.any()


def test_keeps_float32() -> None:
    assert ClassWeightedLoss([1, 2, 3])(LOGITS.astype("float32"), LABELS)[1].dtype == np.float32


@pytest.mark.parametrize("weights", [[1.0], 2.0, [1.0, -1.0], [1.0, np.nan], [np.inf, 1.0]])
def test_wrong_weights(weights: Any) -> None:
    message = f"weights is {weights!r}, expected a number of at least 0 for each class"
    with pytest.raises(ValueError, match=re.escape(message)):
        ClassWeightedLoss(weights)


def test_no_class_would_count() -> None:
    with pytest.raises(ValueError, match="weights are all 0"):
        ClassWeightedLoss([0, 0])
