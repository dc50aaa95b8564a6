"""What layers take beside arrays of their own dtype, and what they say to torch's words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kinds import layer, parts

import fastlstm as fl

pytestmark = pytest.mark.pairs

F32, F64 = np.float32, np.float64
X = np.random.default_rng(0).standard_normal((4, 2, 5)).astype(F32)


@pytest.mark.parametrize(
    "given",
    [X.astype(F64), X.tolist(), list(X), X.astype(">f4"), np.ma.array(X), X.astype("g")],
    ids=["float64", "lists", "list of arrays", "big-endian", "subclass", "long double"],
)
def test_the_same_numbers_give_the_same_result(backend_isa: str, kind: str, given: Any) -> None:
    module = layer(kind, 5, 6, 2, dtype="float32")
    y, state_n = module(X)
    again, ends = module(given)
    np.testing.assert_array_equal(again, y)
    for a, b in zip(parts(ends), parts(state_n), strict=True):
        assert a.dtype == F32
        np.testing.assert_array_equal(a, b)
    y, _, tape = module.forward(given)
    dx, _ = module.backward(tape, np.ones(y.shape, F64))
    y, _, tape = module.forward(X)
    np.testing.assert_array_equal(module.backward(tape, np.ones(y.shape, F32))[0], dx)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.bool_, np.float16, np.uint8])
def test_numbers_that_the_dtype_holds(dtype: Any) -> None:
    x = (np.arange(40).reshape(4, 2, 5) % 2).astype(dtype)
    lstm = fl.LSTM(5, 6, rng=0)
    np.testing.assert_array_equal(lstm(x)[0], lstm(x.astype(F32))[0])


def test_states_and_steps_likewise(backend_isa: str, kind: str) -> None:
    module = layer(kind, 5, 6, dtype="float32")
    states = [part.astype(F32) + 0.5 for part in module.make_state(2)]
    given: Any = states[0] if len(states) == 1 else tuple(states)
    wide: Any = states[0].astype(F64) if len(states) == 1 else tuple(s.tolist() for s in states)
    np.testing.assert_array_equal(module(X, wide)[0], module(X, given)[0])
    stream, other = module.stream(2), module.stream(2)
    stream.state, other.state = wide, given
    np.testing.assert_array_equal(stream(X[0].tolist()), other(X[0]).copy())
    np.testing.assert_array_equal(stream(X[1].astype(F64)), other(X[1]))


def test_cells_linear_and_embedding_likewise(backend_isa: str) -> None:
    cell, linear = fl.GRUCell(5, 6, rng=0), fl.Linear(5, 3, rng=0)
    np.testing.assert_array_equal(cell(X[0].tolist()), cell(X[0]))
    np.testing.assert_array_equal(cell(X[0, 0].tolist()), cell(X[0, 0]))
    h, tape = cell.forward(X[0].tolist())
    assert cell.backward(tape, h.astype(F64))[0].shape == X[0].shape
    np.testing.assert_array_equal(linear(X.astype(F64)), linear(X))
    y, tape = linear.forward(X.tolist())
    assert linear.backward(tape, y.tolist()).shape == X.shape


def test_python_numbers_in_lists_are_rounded() -> None:
    linear = fl.Linear(2, 3, rng=0)
    np.testing.assert_array_equal(linear([[0.1, 0.7]]), linear(np.array([[0.1, 0.7]], F32)))


LOST: list[Any] = [
    np.full((1, 2), 0.1),
    [np.array([0.1, 0.2])],
    np.array([[1 << 24, (1 << 24) + 1]]),
]
LOST += [np.array([[1e300, 0.0]]), [[1e300, 0.0]], [[(1 << 24) + 1, 0]]]


@pytest.mark.parametrize("x", LOST, ids=range(len(LOST)))
def test_what_would_be_lost_is_named(x: Any) -> None:
    message = r'x has dtype (float|int)64, expected float32, which .* \.astype\("float32"\)'
    with pytest.raises(TypeError, match=message):
        fl.Linear(2, 3)(x)


def test_a_float64_layer_takes_any_float32() -> None:
    gru = fl.GRU(5, 6, dtype="float64", rng=0)
    np.testing.assert_array_equal(gru(X)[0], gru(X.astype(F64))[0])


def test_nan_and_infinity_convert() -> None:
    linear = fl.Linear(2, 1, rng=0)
    for value in (np.nan, np.inf):
        x = np.array([[value, 1.0]])
        np.testing.assert_array_equal(linear(x), linear(x.astype(F32)))


def test_ids_given_may_be_used_again(backend_isa: str, kind: str) -> None:
    """A loader's buffer, full of others by the time of backward."""
    module, table = layer(kind, 5, 6), np.random.default_rng(1).standard_normal((3, 5))
    results = []
    for again in (None, 2, 1 << 40):
        ids, lengths = np.array([[0, 1], [2, 0]]), np.array([2, 1])
        reset = np.array([[False, True], [True, False]])
        y, _, tape = module.forward(fl.Tokens(ids, table), lengths=lengths, reset=reset)
        if again is not None:
            ids[...], lengths[...], reset[...] = again, again, True
        results.append(module.backward(tape, np.ones_like(y))[0])
    for found in results[1:]:
        np.testing.assert_array_equal(found, results[0])


def test_ids_of_an_embedding_may_be_used_again() -> None:
    for sparse in (True, False):
        gradients = []
        for again in (0, 1, 1 << 40):
            embedding, ids = fl.Embedding(5, 2, sparse=sparse, rng=0), np.array([3, 0])
            y, tape = embedding.forward(ids)
            ids[...] = again or ids
            embedding.backward(tape, np.ones_like(y))
            rows = embedding.weight.rows
            gradients.append(embedding.weight.grad if rows is None else rows.index)
        for found in gradients[1:]:
            np.testing.assert_array_equal(found, gradients[0])


MAKERS = [
    lambda rng: fl.LSTM(3, 4, rng=rng),
    lambda rng: fl.RNNCell(3, 4, rng=rng),
    lambda rng: fl.Linear(3, 4, rng=rng),
    lambda rng: fl.Embedding(3, 4, rng=rng),
    lambda rng: fl.TextClassifier(9, 4, 5, rng=rng),
    lambda rng: fl.LanguageModel(9, 4, 5, rng=rng),
]


@pytest.mark.parametrize("make", MAKERS, ids=range(len(MAKERS)))
def test_a_seed_is_a_generator(make: Any) -> None:
    for seed in (0, np.int64(7)):
        a, b = make(seed), make(np.random.default_rng(int(seed)))
        for name, value in a.state_dict().items():
            np.testing.assert_array_equal(value, b.state_dict()[name])


def test_a_seed_of_one_pass() -> None:
    model = fl.TextClassifier(9, 4, 5, embedding_dropout=0.5, dropout=0.5, rng=0)
    tokens = np.array([[1, 2, 3], [4, 5, 6]])
    a, b, c = (model.forward(tokens, rng=r)[0] for r in (3, np.random.default_rng(3), 4))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_torchs_word_for_the_state() -> None:
    x = np.zeros((2, 1, 3), F32)
    lstm, cell = fl.LSTM(3, 4), fl.LSTMCell(3, 4)
    calls = [lstm, lstm.forward, lstm.trace, lambda x, **k: lstm.tbptt(x, 1, **k)]
    for call in (*calls, lambda x, **k: cell(x[0], **k), lambda x, **k: cell.forward(x[0], **k)):
        for name in ("hx", "h0"):
            message = f"got an unexpected keyword argument '{name}': say state="
            with pytest.raises(TypeError, match=re.escape(message)):
                call(x, **{name: None})
        with pytest.raises(TypeError, match="got an unexpected keyword argument 'foo'$"):
            call(x, foo=1)
    with pytest.raises(TypeError, match="'length': say lengths=$"):
        lstm(x, length=[1])
    for name in ("rng", "unknown"):  # of forward alone, and of nobody
        with pytest.raises(TypeError, match=f"got an unexpected keyword argument '{name}'$"):
            lstm(x, **{name: None})


class Net(fl.Module):
    def __init__(self) -> None:
        self.lstm = fl.LSTM(5, 6)
        self.head = fl.Linear(6, 2)
        self.size = 3


REPRS = [
    (fl.LSTM(3, 4), "LSTM(3, 4)"),
    (
        fl.LSTM(3, 4, 2, proj_size=2, dropout=0.5),
        "LSTM(3, 4, proj_size=2, num_layers=2, dropout=0.5)",
    ),
    (fl.GRU(3, 4, 1, False, True), "GRU(3, 4, bias=False, batch_first=True)"),
    (fl.RNN(3, 4, bidirectional=True), "RNN(3, 4, bidirectional=True)"),
    (fl.RNN(3, 4, nonlinearity="relu"), "RNN(3, 4, nonlinearity=relu)"),
    (fl.GRU(3, 4, reset_after=False), "GRU(3, 4, reset_after=False)"),
    (fl.GRU(3, 4, dtype="float64", recompute=7), "GRU(3, 4, dtype=float64, recompute=7)"),
    (fl.LSTMCell(3, 4), "LSTMCell(3, 4)"),
    (fl.RNNCell(3, 4, False, "relu"), "RNNCell(3, 4, bias=False, nonlinearity=relu)"),
    (fl.Linear(3, 4), "Linear(in_features=3, out_features=4, bias=True)"),
    (fl.Linear(3, 4, False), "Linear(in_features=3, out_features=4, bias=False)"),
    (fl.Embedding(3, 4, 1), "Embedding(3, 4, padding_idx=1)"),
    (fl.Dropout(0.3), "Dropout(p=0.3)"),
    (
        Net(),
        "Net(\n  (lstm): LSTM(5, 6)\n  (head): Linear(in_features=6, out_features=2, bias=True)\n)",
    ),
]


@pytest.mark.parametrize(("module", "text"), REPRS, ids=[text for _, text in REPRS])
def test_repr(module: fl.Module, text: str) -> None:
    assert repr(module) == text


def test_repr_is_that_of_torch() -> None:
    nn = pytest.importorskip("torch").nn
    options = [{}, {"num_layers": 2, "bidirectional": True, "dropout": 0.25}, {"bias": False}]
    for name in ("LSTM", "GRU", "RNN"):
        for option in options:
            assert repr(getattr(fl, name)(3, 4, **option)) == repr(
                getattr(nn, name)(3, 4, **option)
            )
    assert repr(fl.Linear(3, 4)) == repr(nn.Linear(3, 4))
    assert repr(fl.GRUCell(3, 4)) == repr(nn.GRUCell(3, 4))
    assert repr(fl.Embedding(3, 4, padding_idx=0)) == repr(nn.Embedding(3, 4, padding_idx=0))


def test_repr_of_modules_in_modules() -> None:
    class Outer(fl.Module):
        def __init__(self) -> None:
            self.net = Net()

        def extra_repr(self) -> str:
            return "twice"

    inner = "\n".join("  " + line for line in repr(Net()).split("\n"))
    assert repr(Outer()) == f"Outer(\n  twice\n  (net): {inner.strip()}\n)"
