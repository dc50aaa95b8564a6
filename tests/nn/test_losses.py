"""Losses against torch, against differences, and at the ends of the number range."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest

from fastlstm.nn import bce_with_logits, cross_entropy
from fastlstm.nn.losses import log_softmax

rng = np.random.default_rng(0)
Z, LABELS = rng.standard_normal((6, 4)) * 3, rng.integers(0, 4, 6)


def test_bce_against_torch() -> None:
    torch = pytest.importorskip("torch")
    targets = np.random.default_rng(1).random(Z.shape)
    leaf = torch.tensor(Z, requires_grad=True)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(leaf, torch.tensor(targets))
    expected.backward()
    loss, d = bce_with_logits(Z, targets)
    assert loss == pytest.approx(expected.item(), rel=1e-14)
    np.testing.assert_allclose(d, leaf.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("shape", [(4,), (6, 4), (2, 3, 5)])
def test_log_softmax_against_torch(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    z = np.random.default_rng(2).standard_normal(shape) * 300
    before = z.copy()
    expected = torch.log_softmax(torch.tensor(z), -1).numpy()
    np.testing.assert_allclose(log_softmax(z), expected, rtol=1e-13)
    assert np.array_equal(z, before)


def test_cross_entropy_against_torch() -> None:
    torch = pytest.importorskip("torch")
    leaf = torch.tensor(Z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(leaf, torch.tensor(LABELS))
    expected.backward()
    loss, d = cross_entropy(Z, LABELS)
    assert loss == pytest.approx(expected.item(), rel=1e-14)
    np.testing.assert_allclose(d, leaf.grad.numpy(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_label_smoothing_against_torch(smoothing: float) -> None:
    torch = pytest.importorskip("torch")
    leaf = torch.tensor(Z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        leaf, torch.tensor(LABELS), label_smoothing=smoothing
    )
    expected.backward()
    loss, d = cross_entropy(Z, LABELS, smoothing)
    assert loss == pytest.approx(expected.item(), rel=1e-14)
    np.testing.assert_allclose(d, leaf.grad.numpy(), rtol=0, atol=1e-15)
    assert loss != pytest.approx(cross_entropy(Z, LABELS)[0], rel=1e-3)


def test_cross_entropy_leaves_its_logits_alone() -> None:
    logits = Z.astype(np.float32)
    _, d = cross_entropy(logits, LABELS, 0.1)
    assert d.dtype == np.float32
    np.testing.assert_array_equal(logits, Z.astype(np.float32))


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (bce_with_logits, (Z > 0) * 1.0),
        (cross_entropy, LABELS),
        (partial(cross_entropy, label_smoothing=0.2), LABELS),
    ],
)
def test_gradient_against_differences(loss: Any, targets: Any) -> None:
    direction = np.random.default_rng(2).standard_normal(Z.shape)
    up, down = (loss(Z + s * 1e-5 * direction, targets)[0] for s in (1, -1))
    gradient = float((loss(Z, targets)[1] * direction).sum())
    assert (up - down) / 2e-5 == pytest.approx(gradient, rel=1e-8)


def test_large_logits() -> None:
    logits = np.array([1e4, -1e4, 1e4, -1e4], np.float32)
    loss, d = bce_with_logits(logits, [1, 0, 0, 1])
    assert loss == 5000
    np.testing.assert_array_equal(d, np.array([0, 0, 0.25, -0.25], np.float32))
    assert d.dtype == np.float32
    loss, d = cross_entropy(np.array([[1e4, -1e4]], np.float32), [1])
    assert loss == 2e4
    np.testing.assert_array_equal(d, [[1, -1]])


def test_labels_of_any_type() -> None:
    expected = bce_with_logits(Z[0], np.array([1.0, 0, 1, 0]))[0]
    for labels in ([1, 0, 1, 0], np.array([True, False, True, False])):
        assert bce_with_logits(Z[0], labels)[0] == expected


WRONG = [
    (bce_with_logits, Z[0], [0.0], ValueError, "targets has shape (1,), expected (4,)"),
    (bce_with_logits, Z[0], [0, 1, 2, 0], ValueError, "targets[2] is 2.0, expected 0 to 1"),
    (bce_with_logits, Z[0], [0, float("nan"), 1, 0], ValueError, "targets[1] is nan, expected"),
    (bce_with_logits, Z[0].tolist(), [0] * 4, TypeError, "logits is list, expected a float32"),
    (bce_with_logits, Z[0].astype(int), [0] * 4, TypeError, "logits is int64, expected a float32"),
    (bce_with_logits, np.zeros(0), [], ValueError, "logits has shape (0,), expected at least"),
    (cross_entropy, Z, LABELS[1:], ValueError, "targets has shape (5,), expected (6,)"),
    (cross_entropy, Z, LABELS + 9, IndexError, "targets[0] is"),
    (cross_entropy, Z, LABELS * 1.0, TypeError, "targets has dtype float64, expected integers"),
    (partial(cross_entropy, label_smoothing=1.5), Z, LABELS, ValueError, "label_smoothing is 1.5"),
    (cross_entropy, Z[0], [1], ValueError, "logits has shape (4,), expected (N, C)"),
    (cross_entropy, Z[:0], [], ValueError, "logits has shape (0, 4), expected (N, C)"),
]


@pytest.mark.parametrize(
    ("loss", "logits", "targets", "error", "message"), WRONG, ids=[m for *_, m in WRONG]
)
def test_errors(loss: Any, logits: Any, targets: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        loss(logits, targets)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sample_weights_are_factors_of_the_rows(dtype: str) -> None:
    rng = np.random.default_rng(3)
    z, weight = rng.standard_normal((6, 4)).astype(dtype), rng.random(6)
    labels = np.array([0, 3, 1, 1, 2, 0])
    for loss, logits, t in (
        (cross_entropy, z, labels), (bce_with_logits, z[:, 0].copy(), labels > 1),
    ):  # fmt: skip
        value, d = loss(logits, t, sample_weight=weight)
        rows = [loss(logits[n : n + 1], t[n : n + 1]) for n in range(6)]
        assert value == pytest.approx(np.mean(weight * [one for one, _ in rows]), rel=1e-6)
        expected = np.concatenate([w * one / 6 for w, (_, one) in zip(weight, rows, strict=True)])
        np.testing.assert_allclose(d, expected, rtol=1e-5, atol=1e-7)
        assert d.dtype == dtype
        plain, ones = loss(logits, t), loss(logits, t, sample_weight=np.ones(6))
        assert ones[0] == plain[0]
        np.testing.assert_array_equal(ones[1], plain[1])


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        ([1.0] * 2, ValueError, "sample_weight has shape (2,), expected (3,)"),
        ([1.0, -1.0, 2.0], ValueError, "sample_weight[1] is -1.0, expected at least 0"),
        ([1.0, 2.0, np.nan], ValueError, "sample_weight[2] is nan, expected at least 0"),
        (["a"] * 3, TypeError, "sample_weight has dtype <U1, expected numbers"),
    ],
)
def test_wrong_weights_of_rows(weight: Any, error: type[Exception], message: str) -> None:
    for loss, logits in ((cross_entropy, np.zeros((3, 2))), (bce_with_logits, np.zeros(3))):
        with pytest.raises(error, match=re.escape(message)):
            loss(logits, [0, 1, 0], sample_weight=weight)
