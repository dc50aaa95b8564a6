"""Each error names its argument, also where Python or NumPy would have said it in their words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.train import SGD, Adam

UNEQUAL = [[1.0], [2.0, 3.0]]
MANY = np.zeros(2)
X = np.zeros((3, 2, 4), "f4")
LSTM, EMBEDDING = fl.LSTM(4, 5), fl.Embedding(6, 4)
WEIGHTS = [fl.Parameter(np.ones(3))]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LSTM(X, lengths=UNEQUAL), ValueError, "lengths is a list of unequal lists"),
        (lambda: LSTM(X, reset=UNEQUAL), ValueError, "reset is a list of unequal lists"),
        (lambda: EMBEDDING(UNEQUAL), ValueError, "tokens is a list of unequal lists"),
        (lambda: EMBEDDING.forward(UNEQUAL), ValueError, "tokens is a list of unequal lists"),
        (lambda: LSTM(fl.Tokens(UNEQUAL, X[0])), ValueError, "x.ids is a list of unequal lists"),
        (lambda: LSTM.make_state(2).gather(UNEQUAL), ValueError, "rows is a list of unequal lists"),
        (
            lambda: LSTM.make_state(2).scatter([0], [UNEQUAL, MANY]),
            ValueError,
            r"state\[0\] is a list of unequal lists",
        ),
        (lambda: fl.bce_with_logits(MANY, UNEQUAL), ValueError, "targets is a list of unequal"),
        (lambda: fl.bce_with_logits(MANY, ["a", "b"]), TypeError, "targets has dtype <U1"),
        (lambda: LSTM(X, reset=np.ones((3, 2), bool), reset_at=MANY), ValueError, "reset_at is"),
        (lambda: fl.LSTM(4, 5, init=MANY), ValueError, "init is array"),
        (lambda: fl.LSTM(4, 5, bias=MANY), TypeError, "bias is a ndarray, expected True or False"),
        (lambda: fl.GRU(4, 5, batch_first=MANY), TypeError, "batch_first is a ndarray"),
        (lambda: fl.GRU(4, 5, reset_after=MANY), TypeError, "reset_after is a ndarray"),
        (lambda: fl.LSTMCell(4, 5, bias=MANY), TypeError, "bias is a ndarray"),
        (lambda: fl.LSTM(4, 5, forget_bias=UNEQUAL), TypeError, "forget_bias is .*a number"),
        (lambda: Adam(WEIGHTS, lr="fast"), TypeError, "lr is 'fast', expected a number"),
        (lambda: Adam(WEIGHTS, betas=("a", 0.9)), TypeError, "betas is 'a', expected a number"),
        (lambda: Adam(WEIGHTS, betas=0.9), TypeError, "betas is 0.9, expected two numbers"),
        (lambda: fl.Parameter(UNEQUAL), ValueError, "data is a list of unequal lists"),
        (
            lambda: LSTM.load_state_dict({**LSTM.state_dict(), "bias_ih_l0": UNEQUAL}),
            ValueError,
            "bias_ih_l0 is a list of unequal lists",
        ),
        (lambda: fl.LSTM(4, 5, 2**63), ValueError, "num_layers is .*expected at most 10,000"),
        (lambda: SGD(np.array(3)), TypeError, "parameters is a ndarray, expected a Module"),
        (lambda: SGD(3), TypeError, "parameters is a int, expected a Module"),
    ],
)
def test_the_argument_is_named(
    call: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


# A view that claims more values than could ever be read, or than any address space holds.
ENDLESS = 1 << 50


@pytest.mark.parametrize("dtype", ["uint8", "int64"])
@pytest.mark.parametrize("shape", [(ENDLESS,), (2, ENDLESS), (ENDLESS, 2)], ids=str)
def test_endless_ids_are_refused_at_once(shape: tuple[int, ...], dtype: str) -> None:
    endless, embedding = np.broadcast_to(np.zeros((), dtype), shape), fl.Embedding(3, 4)
    calls: list[Callable[[Any], Any]] = [embedding, embedding.forward]
    calls.append(lambda ids: fl.LSTM(4, 5)(fl.Tokens(ids, np.zeros((3, 4), "f4"))))
    calls.append(lambda ids: fl.LSTM(4, 5).forward(fl.Tokens(ids, np.zeros((3, 4), "f4"))))
    if len(shape) == 2:
        calls.append(embedding.distinct)
    for call in calls:
        with pytest.raises(MemoryError, match="Unable to allocate"):
            call(endless)


def test_an_endless_input_is_refused_at_once() -> None:
    layer, number = fl.LSTM(4, 5), np.zeros((), "f4")
    for shape in ((ENDLESS, 4), (ENDLESS, 2, 4), (2, ENDLESS, 4)):
        with pytest.raises(ValueError, match="x has shape .* more numbers than any memory holds"):
            layer(np.broadcast_to(number, shape))
    with pytest.raises(ValueError, match="x has shape"):
        layer(np.broadcast_to(number, ENDLESS))
    with pytest.raises(MemoryError, match="Unable to allocate"):
        layer(np.broadcast_to(np.array(None), ENDLESS))


def test_shapes_of_targets_are_compared_before_a_value_is_read() -> None:
    endless = np.broadcast_to(np.int64(0), ENDLESS)
    with pytest.raises(ValueError, match="targets has shape"):
        fl.cross_entropy(X[0], endless)
    with pytest.raises(ValueError, match="targets has shape"):
        fl.bce_with_logits(X[0], endless)


def test_options_that_a_layer_was_made_for_cannot_be_changed() -> None:
    """Fewer layers left states that nobody had computed; another nonlinearity did nothing."""
    layer = fl.RNN(4, 5, num_layers=2)
    for name, value in {"num_layers": 1, "nonlinearity": "relu", "dtype": X}.items():
        before = getattr(layer, name)
        with pytest.raises(AttributeError, match=f"RNN.{name} is .* and cannot become"):
            setattr(layer, name, value)
        setattr(layer, name, before)
    cell = fl.GRUCell(4, 5)
    with pytest.raises(
        AttributeError, match=r"GRUCell\.reset_after is True and cannot become False"
    ):
        cell.reset_after = False


def test_options_that_may_be_changed_are_checked_as_those_given_first() -> None:
    layer = fl.LSTM(4, 5)
    for name, value, why in (
        ("recompute", -1, "at least 0"),
        ("recompute", 1.5, "an integer"),
        ("dropout", 7, "0 to 1"),
        ("dropout", "a", "a number"),
        ("batch_first", np.ones(2), "True or False"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"{name} is .*expected {why}"):
            setattr(layer, name, value)
    layer.recompute, layer.dropout, layer.batch_first = 3, 1, True
    assert (layer.recompute, layer.dropout, layer.batch_first) == (3, 1.0, True)
    y = layer(X)[0]
    layer.batch_first = False
    np.testing.assert_array_equal(y, layer(X.swapaxes(0, 1))[0].swapaxes(0, 1))
