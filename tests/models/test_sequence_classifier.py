"""SequenceClassifier: against TextClassifier, against differences, rows on their own, errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.models import SequenceClassifier, TextClassifier

N, T, F = 5, 7, 3
LENGTHS = np.array([7, 0, 3, 1, 7])
OPTIONS = [
    {"pooling": "last"},
    {"pooling": "mean", "num_outputs": 3},
    {"pooling": "mean+max", "bidirectional": True, "num_layers": 2},
    {"cell": "gru", "pooling": "last+max", "bidirectional": True, "num_outputs": 2},
    {"cell": "rnn", "pooling": "max"},
]


def inputs() -> Any:
    return np.random.default_rng(0).standard_normal((N, T, F))


def model(**options: Any) -> SequenceClassifier:
    options = {"hidden_size": 6, "dtype": "float64", **options}
    return SequenceClassifier(F, rng=np.random.default_rng(1), **options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_is_a_text_classifier_without_its_embedding(options: dict[str, Any]) -> None:
    ids = np.random.default_rng(0).integers(1, 9, (N, T))
    text = TextClassifier(9, F, hidden_size=6, dtype="float64", **options)
    ours = model(**options)
    weights = text.state_dict()
    x = weights.pop("embedding.weight")[ids]
    ours.load_state_dict(weights)
    np.testing.assert_array_equal(ours(x, LENGTHS), text(ids, LENGTHS))
    logits, tape = ours.forward(x, LENGTHS)
    expected, text_tape = text.forward(ids, LENGTHS)
    np.testing.assert_array_equal(logits, expected)
    d = np.random.default_rng(2).standard_normal(logits.shape)
    dx = ours.backward(tape, d)
    text.backward(text_tape, d)
    for (name, a), (_, b) in zip(
        ours.named_parameters(), list(text.named_parameters())[1:], strict=True
    ):
        np.testing.assert_allclose(a.grad, b.grad, rtol=0, atol=1e-12, err_msg=name)
    rows, table = text.embedding.weight.rows, np.zeros((9, F))
    assert rows is not None
    np.add.at(table, ids, dx)
    np.testing.assert_allclose(table[rows.index], rows.value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradient_of_x_through_dropout_against_differences(options: dict[str, Any]) -> None:
    ours, x, rng = model(dropout=0.3, **options), inputs(), np.random.default_rng(4)
    logits, tape = ours.forward(x, LENGTHS, np.random.default_rng(3))
    d, along = rng.standard_normal(logits.shape), rng.standard_normal(x.shape)
    dx = ours.backward(tape, d)
    assert dx.shape == x.shape
    assert not dx[np.arange(T) >= LENGTHS[:, None]].any()
    high, low = (
        np.sum(ours.forward(x + step * along, LENGTHS, np.random.default_rng(3))[0] * d)
        for step in (1e-6, -1e-6)
    )
    assert (high - low) / 2e-6 == pytest.approx(float(np.sum(dx * along)), rel=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_sequence_does_not_depend_on_its_batch(options: dict[str, Any]) -> None:
    ours, x = model(**options), inputs()
    whole = ours(x, LENGTHS)
    behind = np.where(np.arange(T)[:, None] < LENGTHS[:, None, None], x, np.nan)
    np.testing.assert_array_equal(ours(behind, LENGTHS), whole)
    for n, length in enumerate(LENGTHS):
        alone = x[n : n + 1, : max(length, 1)]
        np.testing.assert_array_equal(ours(alone, [length])[0], whole[n])


def test_without_lengths_all_steps_are_real() -> None:
    np.testing.assert_array_equal(model()(inputs()), model()(inputs(), [T] * N))


def test_names_are_those_of_the_layers() -> None:
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    expected = [*(f"gru.{name}" for name in names), "head.weight", "head.bias"]
    assert list(model(cell="gru").state_dict()) == expected


WRONG = [
    ({"input_size": 0}, "input_size is 0, expected at least 1"),
    ({"input_size": 2, "pooling": "sum"}, "pooling is 'sum', expected one of last, mean, max"),
    ({"input_size": 2, "cell": "cnn"}, "cell is 'cnn', expected one of lstm, gru, rnn"),
    ({"input_size": 2, "num_outputs": 0}, "num_outputs is 0, expected at least 1"),
    ({"input_size": 2, "dropout": 2}, "dropout is 2, expected 0 to 1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SequenceClassifier(**options)


def test_wrong_inputs() -> None:
    ours = model()
    with pytest.raises(
        ValueError, match=re.escape("x has shape (5, 7, 2), expected (any, any, 3)")
    ):
        ours(inputs()[..., :2])
    with pytest.raises(TypeError, match="x has dtype complex64, expected float64"):
        ours(inputs().astype("complex64"))
    with pytest.raises(ValueError, match=re.escape("lengths[0] is 8, expected 0 to 7")):
        ours(inputs(), [8] * N)
    logits, tape = ours.forward(inputs())
    with pytest.raises(ValueError, match=re.escape("dlogits has shape (5, 1), expected (5,)")):
        ours.backward(tape, logits[:, None])
    ours.backward(tape, logits)
    with pytest.raises(RuntimeError, match="tape was already used"):
        ours.backward(tape, logits)
