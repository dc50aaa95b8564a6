"""Logits and probabilities of texts."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.models import TextClassifier
from fastlstm.text import Encoded
from fastlstm.train.classifier import predict
from fastlstm.train.classifier.predict import log_probabilities, predict_log_probabilities


def model(num_outputs: int) -> TextClassifier:
    return TextClassifier(30, 4, 5, num_outputs=num_outputs, rng=np.random.default_rng(0))


@pytest.fixture
def texts() -> Encoded:
    rng = np.random.default_rng(1)
    lengths = rng.integers(0, 9, 23)
    return Encoded.from_lengths(rng.integers(1, 30, lengths.sum()), lengths, np.zeros(23, int))


@pytest.mark.parametrize("num_outputs", [1, 3])
def test_in_the_order_of_the_texts_whatever_the_batches(num_outputs: int, texts: Encoded) -> None:
    net = model(num_outputs)
    found = predict_log_probabilities(net, texts, 5)
    assert found.shape == (23, max(2, num_outputs))
    np.testing.assert_array_equal(found, predict_log_probabilities(net, texts, 128))
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-12)
    for n in range(23):
        row = texts.row(n)[None] if len(texts.row(n)) else np.zeros((1, 1), int)
        logits = net(row, [len(texts.row(n))])
        np.testing.assert_array_equal(found[n], log_probabilities(logits)[0])


def test_batches_of_long_texts_have_fewer_rows(
    texts: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, shapes = model(3), []
    call = TextClassifier.__call__

    def watched(self: TextClassifier, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        shapes.append(tokens.shape)
        return call(self, tokens, lengths)

    monkeypatch.setattr(TextClassifier, "__call__", watched)
    expected = predict_log_probabilities(net, texts)
    assert [rows for rows, _ in shapes] == [23]
    shapes.clear()
    monkeypatch.setattr(predict, "STEPS", 20)
    np.testing.assert_array_equal(predict_log_probabilities(net, texts), expected)
    assert all(rows * steps <= 20 for rows, steps in shapes)
    assert sum(rows for rows, _ in shapes) == 23
    shapes.clear()
    monkeypatch.setattr(predict, "STEPS", 1)
    np.testing.assert_array_equal(predict_log_probabilities(net, texts), expected)
    assert len(shapes) == 23


def test_one_logit_is_that_of_class_one() -> None:
    found = np.exp(log_probabilities(np.array([0.0, 2.0, -1000.0, 1000.0])))
    np.testing.assert_allclose(found[:, 1], [0.5, 1 / (1 + np.exp(-2)), 0, 1], rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_far_classes_keep_a_finite_logarithm() -> None:
    logits = np.array([[1e4, 0.0, -1e4]], dtype="float32")
    np.testing.assert_allclose(log_probabilities(logits), [[0, -1e4, -2e4]])
