"""TextClassifier: against torch, against differences, independence of the batch, errors."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.models import TextClassifier
from fastlstm.models.bigrams import SCALE, hash_pairs
from fastlstm.nn import Parameter

V, N, T = 30, 6, 7
LENGTHS = np.array([7, 0, 3, 5, 1, 7])


def tokens() -> Any:
    ids = np.random.default_rng(0).integers(1, V, (N, T))
    return np.where(np.arange(T) < LENGTHS[:, None], ids, 0)


def model(**options: Any) -> TextClassifier:
    options = {"embedding_dim": 5, "hidden_size": 9, "dtype": "float64", **options}
    ours = TextClassifier(V, rng=np.random.default_rng(1), **options)
    if ours.bigrams is not None:  # which start at zero
        ours.bigrams.weight.data[...] = np.random.default_rng(9).standard_normal(
            ours.bigrams.weight.data.shape
        )
    return ours


def dense(parameter: Parameter) -> Any:
    """The whole gradient, also of a table of which few rows were used."""
    if parameter.rows is None:
        return parameter.grad
    whole = np.zeros_like(parameter.data)
    whole[parameter.rows.index] = parameter.rows.value
    return whole


OPTIONS = [
    {"pooling": "last"},
    {"pooling": "mean", "num_outputs": 3},
    {"pooling": "max", "bidirectional": True},
    {"pooling": "mean+max", "bidirectional": True, "num_layers": 2},
    {"pooling": "last", "bidirectional": True, "num_layers": 2, "num_outputs": 2},
    {"cell": "gru", "pooling": "last", "bidirectional": True, "num_layers": 2},
    {"cell": "rnn", "pooling": "mean+max+last"},
    {"pooling": "mean+max", "bigrams": 11},
    {"num_outputs": 3, "bigrams": 11},
]


def run_torch(torch: Any, ours: TextClassifier, dlogits: Any) -> tuple[Any, dict[str, Any]]:
    """The same model in torch with the same weights: logits and gradients, by our names."""
    p = {k: torch.tensor(v, requires_grad=True) for k, v in ours.state_dict().items()}
    layer = ours.recurrent
    cls = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[ours.cell]
    theirs = cls(
        layer.input_size, layer.hidden_size, layer.num_layers, batch_first=True,
        bidirectional=layer.bidirectional,
    ).double()  # fmt: skip
    x = torch.nn.functional.embedding(torch.tensor(tokens()), p["embedding.weight"], padding_idx=0)
    features = []
    for n, length in enumerate(LENGTHS):
        size = layer.hidden_size * (1 + layer.bidirectional)
        parts = {name: torch.zeros(size, dtype=torch.double) for name in ("last", "mean", "max")}
        if length:
            start = ours.cell + "."
            weights = {k[len(start) :]: v for k, v in p.items() if k.startswith(start)}
            y, state = torch.func.functional_call(theirs, weights, (x[n : n + 1, :length],))
            h_n = state[0] if ours.cell == "lstm" else state
            top = h_n[-2:] if layer.bidirectional else h_n[-1:]
            parts = {"last": top.flatten(), "mean": y[0].mean(0), "max": y[0].amax(0)}
        features.append(torch.cat([parts[name] for name in ours.pooling.split("+")]))
    logits = torch.stack(features) @ p["head.weight"].T + p["head.bias"]
    if ours.bigrams is not None:
        logits = logits + of_pairs(torch, p["bigrams.weight"])
    logits = logits[:, 0] if ours.num_outputs == 1 else logits
    (logits * torch.tensor(dlogits)).sum().backward()
    return logits.detach().numpy(), {k: v.grad.numpy() for k, v in p.items()}


def of_pairs(torch: Any, table: Any) -> Any:
    """What `HashedBigrams` adds to the logits."""
    sums = []
    for row, length in zip(tokens(), LENGTHS, strict=True):
        pairs = [(a, b) for a, b in pairwise(row[:length]) if min(a, b) > 1]
        rows = [hash_pairs(*np.array([pair]).T, len(table))[0] for pair in pairs]
        sums.append(SCALE * table[rows].sum(0) / max(1, len(pairs)) ** 0.5)
    return torch.stack(sums)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_against_torch(backend_isa: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    ours = model(**options)
    logits, tape = ours.forward(tokens(), LENGTHS)
    dlogits = np.random.default_rng(2).standard_normal(logits.shape)
    ours.backward(tape, dlogits)
    expected, gradients = run_torch(torch, ours, dlogits)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(ours(tokens(), LENGTHS), logits)
    rows = ours.embedding.weight.rows
    assert rows is not None
    assert rows.index.tolist() == sorted(set(tokens().ravel()) - {0})
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            dense(parameter), gradients[name], rtol=0, atol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_through_dropout_against_differences(
    backend_isa: str, options: dict[str, Any]
) -> None:
    ours = model(dropout=0.3, embedding_dropout=0.2, **options)
    logits, tape = ours.forward(tokens(), LENGTHS, np.random.default_rng(3))
    rng = np.random.default_rng(4)
    d = rng.standard_normal(logits.shape)
    ours.backward(tape, d)
    slope, along = 0.0, {}
    for name, parameter in ours.named_parameters():
        along[name] = rng.standard_normal(parameter.data.shape)
        if name == "embedding.weight":
            along[name][0] = 0
        slope += float(np.sum(dense(parameter) * along[name]))
    start, losses = ours.state_dict(), []
    for step in (1e-6, -1e-6):
        ours.load_state_dict({k: v + step * along[k] for k, v in start.items()})
        losses.append(
            float(np.sum(ours.forward(tokens(), LENGTHS, np.random.default_rng(3))[0] * d))
        )
    assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_text_does_not_depend_on_its_batch(
    backend_isa: str, options: dict[str, Any], dtype: str
) -> None:
    ours = model(**{**options, "dtype": dtype})
    whole = ours(tokens(), LENGTHS)
    for n, length in enumerate(LENGTHS):
        for width in (max(length, 1), T, T + 3):
            alone = np.zeros((1, width), int)
            alone[0, :length] = tokens()[n, :length]
            np.testing.assert_array_equal(ours(alone, [length])[0], whole[n])


def test_what_stands_behind_a_text_is_not_read(backend_isa: str) -> None:
    ours, other = model(pooling="mean+max"), tokens()
    other[np.arange(T) >= LENGTHS[:, None]] = V - 1
    np.testing.assert_array_equal(ours(other, LENGTHS), ours(tokens(), LENGTHS))
    ids = other.copy()
    ids[ids == V - 1] = 1
    ids[np.arange(T) >= LENGTHS[:, None]] = V - 1
    logits, tape = ours.forward(ids, LENGTHS)
    ours.backward(tape, np.ones_like(logits))
    assert ours.embedding.weight.rows is not None
    assert V - 1 not in ours.embedding.weight.rows.index


def test_texts_without_tokens(backend_isa: str) -> None:
    ours = model(pooling="mean+max", bidirectional=True)
    logits, tape = ours.forward(tokens(), np.zeros(N, int))
    np.testing.assert_array_equal(logits, np.full(N, ours.head.bias.data[0]))
    ours.backward(tape, np.ones(N))
    assert ours.embedding.weight.rows is not None
    assert not ours.embedding.weight.rows.value.any()


def test_without_lengths_all_tokens_are_real(backend_isa: str) -> None:
    ours = model(pooling="mean")
    np.testing.assert_array_equal(ours(tokens()), ours(tokens(), [T] * N))


def test_dropout_needs_the_same_generator_to_repeat() -> None:
    ours = model(dropout=0.5)
    a, b, c = (ours.forward(tokens(), LENGTHS, np.random.default_rng(s))[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    assert (a != ours(tokens(), LENGTHS)).any()


def test_all_places_of_a_word_share_its_dropout() -> None:
    ours = model(embedding_dropout=0.5, dropout=0.0)
    ids = np.full((1, 4), 7)
    shorter, longer = (ours.forward(ids[:, :n], rng=np.random.default_rng(5))[0] for n in (2, 4))
    table = ours.embedding.weight.data[7:8]
    dropped, _ = ours.word_dropout.forward(table, np.random.default_rng(5))
    assert (dropped == 0).any()
    x = np.broadcast_to(dropped, (4, 1, 5)).copy()
    for n, logits in ((2, shorter), (4, longer)):
        _, (h_n, _) = ours.lstm(x[:n])
        np.testing.assert_array_equal(ours.head(h_n[-1])[:, 0], logits)


def test_defaults_and_names() -> None:
    ours = TextClassifier(V)
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    names = ["embedding.weight", *(f"lstm.{n}" for n in names), "head.weight", "head.bias"]
    assert list(ours.state_dict()) == names
    assert (ours.embedding.embedding_dim, ours.lstm.hidden_size) == (128, 128)
    assert not ours.embedding.weight.data[0].any()
    assert fl.TextClassifier is TextClassifier


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_recurrent_layers_go_by_the_name_of_their_cell(cell: str) -> None:
    ours = model(cell=cell)
    assert ours.recurrent is getattr(ours, cell)
    assert type(ours.recurrent) is {"lstm": fl.LSTM, "gru": fl.GRU, "rnn": fl.RNN}[cell]
    assert f"{cell}.weight_hh_l0" in ours.state_dict()


WRONG = [
    ({"cell": "elman"}, "cell is 'elman', expected one of lstm, gru, rnn"),
    ({"cell": None}, "cell is None, expected one of lstm, gru, rnn"),
    ({"pooling": "median"}, "pooling is 'median', expected one of last, mean, max"),
    ({"pooling": "mean+mean"}, "pooling is 'mean+mean'"),
    ({"pooling": ""}, "pooling is ''"),
    ({"pooling": None}, "pooling is None"),
    ({"num_outputs": 0}, "num_outputs is 0, expected at least 1"),
    ({"dropout": 2}, "dropout is 2, expected 0 to 1"),
    ({"embedding_dropout": -1}, "embedding_dropout is -1, expected 0 to 1"),
    ({"embedding_dim": 0}, "embedding_dim is 0, expected at least 1"),
    ({"bigrams": -1}, "bigrams is -1, expected at least 0"),
    ({"dtype": "int8"}, "dtype is 'int8', expected float32 or float64"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        model(**options)
    with pytest.raises(ValueError, match="vocab_size is 0, expected at least 1"):
        TextClassifier(0)


INPUTS = [
    ([[1, V]], None, IndexError, "tokens[0, 1] is 30, expected 0 to 29"),
    ([[1, -3]], None, IndexError, "tokens[0, 1] is -3, expected 0 to 29"),
    ([[1.5]], None, TypeError, "tokens has dtype float64, expected integers"),
    ([1, 2], None, ValueError, "tokens has shape (2,), expected 2 axes"),
    ([[1, 2]], [3], ValueError, "lengths[0] is 3, expected 0 to 2"),
    ([[1, 2]], [1, 1], ValueError, "lengths has shape (2,), expected (1,)"),
    (np.zeros((0, 4), int), None, ValueError, "(4, 0), expected at least one row"),
    (np.zeros((4, 0), int), None, ValueError, "(0, 4), expected at least one row"),
]


@pytest.mark.parametrize(("ids", "lengths", "error", "message"), INPUTS, ids=[i[3] for i in INPUTS])
@pytest.mark.parametrize("training", [False, True])
def test_wrong_inputs(
    ids: Any, lengths: Any, error: type[Exception], message: str, training: bool
) -> None:
    ours = model()
    with pytest.raises(error, match=re.escape(message)):
        ours.forward(ids, lengths) if training else ours(ids, lengths)


def test_wrong_gradient_and_used_tape() -> None:
    ours = model()
    logits, tape = ours.forward(tokens(), LENGTHS)
    with pytest.raises(ValueError, match=r"dlogits has shape \(6, 1\), expected \(6,\)"):
        ours.backward(tape, logits[:, None])
    with pytest.raises(TypeError, match="dlogits has dtype complex64, expected float64"):
        ours.backward(tape, logits.astype(np.complex64))
    ours.backward(tape, logits)
    with pytest.raises(RuntimeError, match="tape was already used"):
        ours.backward(tape, logits)


@pytest.mark.parametrize("name", ["lstm.weight_hh_l0", "embedding.weight", "head.bias"])
def test_nan_weights_are_refused_at_loading(name: str) -> None:
    ours = model()
    state = ours.state_dict()
    state[name].flat[0] = np.nan
    with pytest.raises(ValueError, match=re.escape(f"{name}[0")):
        ours.load_state_dict(state)


def test_many_threads_share_a_model(backend_isa: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    ours = model(pooling="mean+max", bidirectional=True)
    expected = ours(tokens(), LENGTHS)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: ours(tokens(), LENGTHS), range(40)):
            np.testing.assert_array_equal(result, expected)
