"""What is written as ONNX runs in ONNX Runtime, with the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import filled

import fastlstm as fl
from fastlstm.formats.onnx_graph import rounded_rows
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import (
    Activation,
    Conv1D,
    Flatten,
    Masking,
    MaskZero,
    Pool,
    PReLU,
    Scale,
)
from fastlstm.nn.attention import DotAttention
from fastlstm.nn.chain import Tanh

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
I, U, T, N = 3, 4, 6, 3


def session(path: Path) -> Any:
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(model: Any, path: Path, **inputs: Any) -> dict[str, Any]:
    fl.save(model, path)
    ran = session(path)
    names = [output.name for output in ran.get_outputs()]
    return dict(zip(names, ran.run(None, inputs), strict=True))


def numbers(*shape: int) -> Any:
    return np.random.default_rng(1).standard_normal(shape or (N, T, I)).astype("float32")


WRITTEN: dict[str, Any] = {
    "lstm": lambda: [filled(fl.LSTM(I, U, 2, bidirectional=True))],
    "lstm without bias": lambda: [filled(fl.LSTM(I, U, bias=False))],
    "peepholes": lambda: [filled(fl.PeepholeLSTM(I, U, bidirectional=True))],
    "learned state": lambda: [
        filled(fl.LSTM(I, U, 2, bidirectional=True, learn_state=True, batch_first=True))
    ],
    "gru": lambda: [filled(fl.GRU(I, U, 2, bidirectional=True))],
    "gru, reset before": lambda: [filled(fl.GRU(I, U, reset_after=False, learn_state=True))],
    "rnn": lambda: [filled(fl.RNN(I, U, 2, bidirectional=True))],
    "relu": lambda: [filled(fl.RNN(I, U, nonlinearity="relu", bidirectional=True))],
    "others": lambda: [
        filled(fl.LSTM(I, U, activation="softsign", recurrent_activation="hard_sigmoid")),
        filled(fl.GRU(U, U, activation=("hard_sigmoid", 0.3, 0.4), bidirectional=True)),
        filled(fl.GRU(2 * U, U, reset_after=False, recurrent_activation="linear")),
        filled(fl.LSTM(U, U, activation="linear", recurrent_activation=("hard_sigmoid", 0.1, 0.3))),
        filled(fl.PeepholeLSTM(U, U, activation="relu", recurrent_activation="hard_sigmoid")),
        filled(fl.RNN(U, U, nonlinearity="sigmoid", bidirectional=True)),
        filled(fl.RNN(2 * U, U, nonlinearity="softsign")),
    ],
    "pooled": lambda: [filled(Recurrence(fl.LSTM(I, U, 2, bidirectional=True), "last+mean+max"))],
    "merged": lambda: [
        filled(Recurrence(fl.GRU(I, U, bidirectional=True), merge="ave")),
        filled(Recurrence(fl.GRU(U, U, bidirectional=True), merge="mul")),
        filled(Recurrence(fl.GRU(U, U, bidirectional=True), "last", merge="sum")),
    ],
    "backwards": lambda: [filled(Recurrence(fl.LSTM(I, U), backwards=True)), filled(fl.RNN(U, 2))],
    "steps": lambda: [
        filled(Conv1D(I, 4, 2, dilation=2, padding="causal")), filled(PReLU(4)), filled(Scale(4)),
        filled(Conv1D(4, 3, 3, stride=2, padding="same", bias=False)), fl.Dropout(0.1),
        filled(Conv1D(3, 3, 2)), filled(fl.GRU(3, 3)), Flatten(), filled(fl.Linear(6, 2)),
    ],
    "as long, dilated": lambda: [
        filled(Conv1D(I, 3, 2, dilation=3, padding="same")),
        filled(Conv1D(3, 3, 3, stride=2, dilation=2, padding="same")),
    ],
    "inside one another": lambda: [
        Sequential([filled(fl.GRU(I, U)), Sequential([filled(fl.Linear(U, 2))])]), Pool("max"),
    ],
    "mean": lambda: [filled(fl.GRU(I, U)), Pool("mean"), filled(fl.Linear(U, 2, False))],
    "max": lambda: [filled(fl.GRU(I, U)), Pool("max"), Activation("softmax")],
    **{
        name: lambda name=name: [Activation(name, 0.3), filled(fl.RNN(I, U))]
        for name in ("relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus",
                     "softsign", "exponential", "silu", "linear")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_layers_run_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    model, x = WRITTEN[name](), numbers()
    y = run(model, tmp_path / "a.onnx", x=x)["y"]
    np.testing.assert_allclose(Sequential(model)(x), y, atol=2e-6)
    np.testing.assert_allclose(fl.load(tmp_path / "a.onnx")(x)[0], y, atol=2e-6)


def _words(*layers: Any) -> list[Any]:
    return [MaskZero(), filled(fl.Embedding(9, I)), *map(filled, layers)]


MASKED: dict[str, Any] = {
    "forward": lambda: _words(fl.LSTM(I, U, 2)),
    "both": lambda: _words(fl.GRU(I, U, 2, bidirectional=True), fl.RNN(2 * U, 2)),
    "zeros": lambda: _words(Recurrence(fl.GRU(I, U, bidirectional=True), zero_masked=True)),
    "last or zero": lambda: _words(Recurrence(fl.LSTM(I, U), "last", zero_masked=True)),
    "ends or zeros": lambda: _words(
        Recurrence(fl.RNN(I, U, bidirectional=True), "last+max", zero_masked=True)
    ),
    "start or zero": lambda: _words(
        Recurrence(fl.GRU(I, U), "last", backwards=True, zero_masked=True)
    ),
    "merged": lambda: _words(Recurrence(fl.GRU(I, U, bidirectional=True), merge="mul")),
    "backwards": lambda: _words(Recurrence(fl.LSTM(I, U), backwards=True)),
    "pooled": lambda: _words(Recurrence(fl.LSTM(I, U, bidirectional=True), "last+mean+max")),
    "mean": lambda: [*_words(fl.GRU(I, U)), Pool("mean"), filled(fl.Linear(U, 2))],
    "functions": lambda: [*_words(fl.GRU(I, U)), Tanh(), filled(Recurrence(fl.RNN(U, 2), "last"))],
    "inside one another": lambda: [Sequential(_words()), Sequential(_words(fl.LSTM(I, U))[2:])],
    "convolution": lambda: [*_words(Conv1D(I, U, 2)), filled(fl.GRU(U, 2))],
}


@pytest.mark.parametrize("name", MASKED)
def test_masks_of_any_shape(name: str, tmp_path: Path) -> None:
    model = MASKED[name]()
    tokens = np.array(
        [[0, 0, 3, 1, 2, 4], [5, 1, 0, 2, 0, 8], [1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0]]
    )
    y = run(model, tmp_path / "a.onnx", tokens=tokens)["y"]
    np.testing.assert_allclose(Sequential(model)(tokens), y, atol=2e-6)
    np.testing.assert_allclose(fl.load(tmp_path / "a.onnx")(tokens)[0], y, atol=2e-6)


@pytest.mark.parametrize("ending", ["onnx", "keras"])
@pytest.mark.parametrize(
    ("model", "told"),
    [
        ([MaskZero(), fl.GRU(I, U)], "0, MaskZero, is given no tokens"),
        ([fl.Embedding(9, I), MaskZero(), fl.GRU(I, U)], "1, MaskZero, is given no"),
        ([fl.Linear(I, 4), fl.Embedding(9, I)], "1, Embedding, is given no tokens"),
    ],
)
def test_tokens_where_there_are_none(model: Any, told: str, ending: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        fl.save(model, tmp_path / f"a.{ending}")


@pytest.mark.parametrize("ending", ["onnx", "keras"])
def test_a_name_that_two_layers_have_in_line(ending: str, tmp_path: Path) -> None:
    layers = {"a": Sequential({"b": fl.Linear(2, 2)}), "a.b": fl.Linear(2, 2)}
    with pytest.raises(ValueError, match="two layers are named a.b: rename one"):
        fl.save(Sequential(layers), tmp_path / f"a.{ending}")


def test_masked_numbers(tmp_path: Path) -> None:
    model = [Masking(-1.0), filled(fl.GRU(I, U)), Pool("mean")]
    x = numbers()
    x[0, 4:] = x[1, 0] = x[1, 3] = -1
    y = run(model, tmp_path / "a.onnx", x=x)["y"]
    np.testing.assert_allclose(Sequential(model)(x), y, atol=2e-6)


def test_rows_of_numbers(tmp_path: Path) -> None:
    model, x = [filled(fl.Linear(I, 4)), Activation("relu")], numbers(N, I)
    y = run(model, tmp_path / "a.onnx", x=x)["y"]
    np.testing.assert_allclose(Sequential(model)(x), y, atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "last+mean+max"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_classifiers_run_in_onnx_runtime(pooling: str, cell: str, tmp_path: Path) -> None:
    """Over texts of any lengths, one of them empty."""
    lengths = np.array([4, 6, 1, 0], "int32")
    tokens = np.random.default_rng(0).integers(0, 9, (4, T))
    model = filled(fl.TextClassifier(9, I, U, 2, True, pooling, cell=cell, num_outputs=3))
    found = run(model, tmp_path / "a.onnx", tokens=tokens, lengths=lengths)["y"]
    np.testing.assert_allclose(model(tokens, lengths), found, atol=2e-6)
    model = filled(fl.models.SequenceClassifier(I, U, pooling=pooling, cell=cell))
    x = numbers(4, T, I)
    found = run(model, tmp_path / "b.onnx", x=x, lengths=lengths)["y"]
    np.testing.assert_allclose(model(x, lengths), found[:, 0], atol=2e-6)


@pytest.mark.parametrize("buckets", [1, 7, 1 << 20])
def test_bigrams_run_in_onnx_runtime(buckets: int, tmp_path: Path) -> None:
    """With ids as large as of a vocabulary, texts of one word, and of none."""
    model = filled(fl.TextClassifier(70_000, 2, 2, num_outputs=2, bigrams=buckets))
    tokens = np.random.default_rng(0).integers(0, 70_000, (5, T))
    tokens[0, 2], tokens[1, 3:] = 1, 0
    lengths = np.array([6, 4, 1, 0, 6], "int32")
    found = run(model, tmp_path / "a.onnx", tokens=tokens, lengths=lengths)["y"]
    expected = model(tokens, lengths)
    np.testing.assert_allclose(expected, found, atol=1e-5)
    rest = model.bigrams(tokens, lengths)
    assert (np.abs(rest[[0, 1, 4]]).min(axis=1) > 0.01).all()
    assert (rest[2:4] == 0).all()
    one = run(model, tmp_path / "a.onnx", tokens=tokens[:, :1], lengths=np.ones(5, "int32"))["y"]
    np.testing.assert_allclose(model(tokens[:, :1]), one, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "projection": I, "tied": True}])
def test_a_language_model_goes_on_with_its_state(
    cell: str, options: dict[str, Any], tmp_path: Path
) -> None:
    model = filled(fl.LanguageModel(9, I, U, cell=cell, **options))
    tokens = np.random.default_rng(0).integers(0, 9, (N, T))
    states = ("h", "c") if cell == "lstm" else ("h",)
    shape = (model.recurrent.num_layers, N, U)
    first = {f"{s}_0": np.random.default_rng(1).normal(0, 0.5, shape).astype("f4") for s in states}
    fl.save(model, tmp_path / "a.onnx")
    ran = session(tmp_path / "a.onnx")
    given = tuple(first.values()) if cell == "lstm" else first["h_0"]
    expected, state = model(np.ascontiguousarray(tokens.T), given)
    state = state if cell == "lstm" else (state,)
    values, logits = first, []
    for part in (tokens[:, :2], tokens[:, 2:]):
        y, *ends = ran.run(None, {"tokens": part, **values})
        values = dict(zip(first, ends, strict=True))
        logits.append(y)
    np.testing.assert_allclose(expected.swapaxes(0, 1), np.concatenate(logits, 1), atol=2e-6)
    for one, other in zip(state, values.values(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_rows_are_rounded_to_eight_bits() -> None:
    weight = numbers(5, 7)
    weight[2] = 0
    rounded, scale = rounded_rows(weight)
    assert rounded.dtype == np.int8
    assert np.abs(rounded).max() == 127
    error = np.abs(rounded * scale[:, None] - weight)
    assert (error <= scale[:, None] / 2 * 1.001).all()


def test_pairs_of_integer_products_fit_16_bits(tmp_path: Path) -> None:
    """ONNX Runtime cuts off what does not, on processors without VNNI."""
    model = fl.TextClassifier(20, 32, 64, num_outputs=4, rng=0)
    model.set_precision("int8")
    fl.save(model, tmp_path / "a.onnx")
    graph = onnx.load(tmp_path / "a.onnx").graph
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    products = [node for node in graph.node if node.op_type == "MatMulInteger"]
    assert products
    for node in products:
        weight = constants[node.input[1]].astype(int)
        assert 0.4 * 2**15 < 2 * 255 * np.abs(weight).max() < 2**15


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_int8_is_a_quarter_of_the_size_and_near(cell: str, tmp_path: Path) -> None:
    model = fl.TextClassifier(20, 32, 64, cell=cell, pooling="mean", num_outputs=4, rng=0)
    tokens = np.random.default_rng(0).integers(1, 20, (4, 10))
    lengths = np.full(4, 10, "int32")
    wide = run(model, tmp_path / "wide.onnx", tokens=tokens, lengths=lengths)["y"]
    model.set_precision("int8")
    small = run(model, tmp_path / "small.onnx", tokens=tokens, lengths=lengths)["y"]
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("small", "wide")]
    assert sizes[0] < 0.5 * sizes[1]
    spread = np.abs(wide).max()
    assert 0 < np.abs(small - wide).max() < 0.03 * spread
    assert np.abs(small - model(tokens, lengths)).max() < 0.03 * spread


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda: fl.LSTM(3, 4, proj_size=2), "a layer of lstm with proj_size, of which ONNX has"),
        (lambda: fl.LSTM(3, 4, dtype="float64"), "dtype float64, expected float32"),
        (lambda: [fl.models.SoftmaxDecoder(3, 4), DotAttention(4)], "'1'] is a DotAttention, whi"),
        (lambda: fl.LSTMCell(3, 4), "model is a LSTMCell, which makes one step"),
        (
            lambda: fl.LanguageModel(9, 4, 4, cutoffs=[3], tied=True),
            "decoder is a AdaptiveSoftmax, of which there are no such nodes",
        ),
        (lambda: fl.models.Seq2Seq(9, 8, 4, 4), "model is a Seq2Seq, expected a layer"),
    ],
)
def test_what_onnx_has_not_is_named(model: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        fl.save(model(), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
