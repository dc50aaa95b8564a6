"""`quantize_dynamic`: on small versions of real architectures, and its call, errors and storage."""

from __future__ import annotations

import copy
import io
import pickle
import re
import warnings
from typing import Any

import numpy as np
import pytest
from dropin import CELLS, QUIET, SEQUENCES, fresh, ft, packed, tensors, torch
from together import at_once
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from fastlstm.kernels.reference import precision as definition
from fastlstm.torch import rounding

# Of outputs, relative to the largest: twice what was measured in int8, five times in float16.
FLOAT16 = 2e-3
INT8 = 0.03


def theirs(model: Any, *args: Any, **options: Any) -> Any:
    """What torch makes of a model."""
    quantization = pytest.importorskip("torch.ao.quantization")
    if torch.backends.quantized.engine == "none":
        pytest.skip("this torch has no kernels for it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantization.quantize_dynamic(model, *args, **options)


def run(model: Any, *args: Any) -> Any:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's quantized tensors
        return model(*args)


def error(actual: Any, expected: Any) -> float:
    return float((actual - expected).abs().max() / expected.abs().max())


def root_mean_square(actual: Any, expected: Any) -> float:
    return float((actual - expected).square().mean().sqrt() / expected.square().mean().sqrt())


class TextReader(nn.Module):
    """A CRNN: convolutions over an image of a line, two BiLSTMs over its columns, letters."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d((4, 1)),
        )  # fmt: skip
        self.reader = nn.Sequential(Bidirectional(16, 32, 24), Bidirectional(24, 32, 24))
        self.letters = nn.Linear(24, 11)

    def forward(self, image: Any) -> Any:
        columns = self.features(image).mean(2).transpose(1, 2)
        return self.letters(self.reader(columns))


class Bidirectional(nn.Module):
    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(inputs, hidden, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * hidden, outputs)

    def forward(self, x: Any) -> Any:
        if hasattr(self.rnn, "flatten_parameters"):  # torch's has none when it is quantized
            self.rnn.flatten_parameters()
        return self.linear(self.rnn(x)[0])


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(60, 20)
        self.rnn = nn.LSTM(20, 28, num_layers=2, bidirectional=True, dropout=0.3)
        self.tags = nn.Linear(56, 9)

    def forward(self, ids: Any, lengths: Any) -> Any:
        x = pack_padded_sequence(self.words(ids), lengths, enforce_sorted=False)
        y, _ = self.rnn(x)
        return self.tags(pad_packed_sequence(y, total_length=len(ids))[0])


class LanguageModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.rnn = nn.Embedding(80, 32), nn.LSTM(32, 32, num_layers=2)
        self.next = nn.Linear(32, 80)
        self.next.weight = self.words.weight  # tied

    def forward(self, ids: Any, state: Any = None) -> Any:
        y, state = self.rnn(self.words(ids), state)
        return self.next(y), state


class Translator(nn.Module):
    """A GRU reads; an LSTMCell, a GRUCell and an RNNCell write, with attention on what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 16)
        self.encoder = nn.GRU(16, 24)
        self.cells = nn.ModuleList([nn.LSTMCell(40, 24), nn.GRUCell(24, 24), nn.RNNCell(24, 24)])
        self.out = nn.Linear(24, 50)

    def forward(self, source: Any, target: Any) -> Any:
        read, last = self.encoder(self.words(source))
        h, logits = [(last[0], torch.zeros_like(last[0])), last[0], last[0]], []
        for word in target:
            weight = torch.softmax((read * h[2]).sum(2, keepdim=True), 0)
            x = torch.cat([self.words(word), (weight * read).sum(0)], 1)
            h[0] = self.cells[0](x, h[0])
            h[1] = self.cells[1](h[0][0], h[1])
            h[2] = self.cells[2](h[1], h[2])
            logits.append(self.out(h[2]))
        return torch.stack(logits)


def made(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    torch.manual_seed(0)
    model = kind().eval()
    if kind is TextReader:
        return model, (torch.randn(5, 1, 8, 60),)
    if kind is Tagger:
        return model, (torch.randint(60, (17, 6)), torch.tensor([9, 17, 1, 12, 17, 5]))
    if kind is LanguageModel:
        return model, (torch.randint(80, (30, 4)),)
    return model, (torch.randint(50, (13, 5)), torch.randint(50, (9, 5)))


def logits_of(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


MODELS = [TextReader, Tagger, LanguageModel, Translator]


@pytest.mark.parametrize("kind", MODELS)
def test_int8_of_an_architecture(kind: Any) -> None:
    model, x = made(kind)
    exact = logits_of(run(model, *x))
    ours = ft.quantize_dynamic(model)
    y = logits_of(run(ours, *x))
    assert 0 < error(y, exact) < INT8
    there = root_mean_square(logits_of(run(theirs(model), *x)), exact)
    assert root_mean_square(y, exact) < there
    assert not ours.quantize_report.left
    assert torch.equal(logits_of(run(model, *x)), exact)  # the float model is as it was


@pytest.mark.parametrize("kind", MODELS)
def test_float16_of_an_architecture(kind: Any) -> None:
    model, x = made(kind)
    exact = logits_of(run(model, *x))
    y = logits_of(run(ft.quantize_dynamic(model, dtype=torch.float16), *x))
    assert 0 < error(y, exact) < FLOAT16
    if kind is not Translator:  # torch has no RNNCell in float16
        assert error(y, logits_of(run(theirs(model, dtype=torch.float16), *x))) < 1e-5


@pytest.mark.parametrize("kind", [TextReader, Tagger, LanguageModel, Translator])
def test_a_row_depends_on_no_other(kind: Any) -> None:
    model, x = made(kind)
    model = ft.quantize_dynamic(model)
    if kind is TextReader:
        model, x = nn.Sequential(model.reader, model.letters), (torch.randn(5, 20, 16),)
    whole = logits_of(run(model, *x))
    axis = 0 if kind is TextReader else 1
    for n in range(whole.shape[axis]):
        alone = logits_of(run(model, *(t.narrow(min(axis, t.dim() - 1), n, 1) for t in x)))
        assert torch.equal(alone, whole.narrow(axis, n, 1))


def test_a_language_model_goes_on() -> None:
    model, (ids,) = made(LanguageModel)
    model = ft.quantize_dynamic(model)
    whole, _ = run(model, ids)
    first, state = run(model, ids[:11])
    steps = [first]
    for t in range(11, len(ids)):
        y, state = run(model, ids[t : t + 1], state)
        steps.append(y)
    assert torch.equal(torch.cat(steps), whole)


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_is_the_float_module_in_int8(name: str) -> None:
    for options in ({}, {"num_layers": 2, "bidirectional": True}, {"bias": False}):
        model = nn.Sequential(getattr(ft, name)(12, 17, precision="int8", **options))
        x = torch.randn(7, 4, 12) * torch.tensor([1e-3, 1, 40, 1e6])[:, None]
        new = ft.quantize_dynamic(model, {getattr(nn, name)})
        assert type(new[0]).__module__ == "fastlstm.torch.quantized.sequences"
        for given in (x, packed(x, [3, 7, 1, 5])):
            both = zip(tensors(run(new, given)), tensors(run(model, given)), strict=True)
            assert all(torch.equal(a, b) for a, b in both)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_is_the_float_cell_in_int8(name: str, bias: bool) -> None:
    cell = getattr(ft, name)(12, 17, bias=bias, precision="int8")
    new = ft.quantize_dynamic(nn.Sequential(cell))[0]
    h = torch.randn(4, 17)
    hx = (h, 3 * h) if name == "LSTMCell" else h
    for _ in range(3):
        for x, state in ((torch.randn(4, 12), hx), (torch.randn(2, 12), None)):
            both = zip(tensors(run(new, x, state)), tensors(run(cell, x, state)), strict=True)
            assert all(torch.equal(a, b) for a, b in both)
    flat = torch.randn(12)
    assert torch.equal(*(next(tensors(run(m, flat))) for m in (new, cell)))
    with torch.no_grad():
        cell.weight_hh += 0.1
    new.load_state_dict(cell.state_dict())  # of floats
    both = zip(tensors(run(new, x, None)), tensors(run(cell, x, None)), strict=True)
    assert all(torch.equal(a, b) for a, b in both)
    h = hx[0] if isinstance(hx, tuple) else hx
    new_h, cell_h = (next(tensors(run(m, torch.ones(4, 12), hx))) for m in (new, cell))
    assert torch.equal(new_h, cell_h)


def test_a_cell_in_two_threads() -> None:
    cell = ft.quantize_dynamic(nn.Sequential(nn.GRUCell(30, 40)))[0]
    inputs = [torch.randn(3, 30) for _ in range(2)]

    def steps(x: Any) -> Any:
        h = torch.zeros(3, 40)
        for _ in range(200):
            h = run(cell, x, h)
        return h

    expected = [steps(x) for x in inputs]
    found = at_once(2, lambda i: steps(inputs[i]))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.fixture(params=["kernel", "whole numbers of torch", "floats of torch"])
def product(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the products of a quantized Linear made so."""
    if request.param != "kernel":  # as where torch records
        monkeypatch.setattr("fastlstm.torch.quantized.linear.plain_mode", lambda: False)
    if request.param == "floats of torch":
        monkeypatch.setattr(rounding, "exact_int_mm", lambda: False)


@pytest.mark.usefixtures("product")
def test_a_linear_is_the_definition() -> None:
    for K in (1, 31, 2500):
        layer = nn.Linear(K, 13)
        with torch.no_grad():
            layer.weight[3] = 0
            layer.weight[4] *= 1e30
        new = ft.quantize_dynamic(nn.Sequential(layer))
        x = torch.randn(2, 9, K)
        x[0, 0] = 0
        x[0, 1] *= 1e-37
        x[0, 2, 0] = float("nan")
        x[0, 3, -1] = -float("inf")
        weight, rows = layer.weight.detach().numpy(), x.reshape(-1, K).numpy()
        with np.errstate(all="ignore"):
            product = definition.int8_product(
                definition.quantize(weight), definition.quantize(rows)
            )
        expected = product.reshape(2, 9, 13) + layer.bias.detach().numpy()
        np.testing.assert_array_equal(run(new, x).numpy(), expected)
    assert run(new, torch.zeros(0, 2, K)).shape == (0, 2, 13)


@pytest.mark.usefixtures("product")
def test_sums_of_a_linear_are_exact() -> None:
    """Of terms that add up to far more than float32 holds before they cancel each other."""
    K = 130_000
    layer = nn.Linear(K, 2, bias=False)
    with torch.no_grad():
        layer.weight[:] = torch.where(torch.arange(K) < K // 2, 127, -126)
        layer.weight[:, 0] = 1
    y = run(ft.quantize_dynamic(layer, {""}), torch.ones(1, K))
    sums = 127 * (127 * (K // 2 - 1) + 1 - 126 * (K // 2))
    scales = torch.tensor(1.0) / 127  # of x; those of the weight are 1
    assert torch.equal(y, (torch.tensor(float(sums)) * scales).expand(1, 2))


def test_a_linear_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = ft.quantize_dynamic(nn.Linear(16, 5, bias=False)), torch.randn(50, 16)
    whole = run(layer, x)
    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.torch.quantized.linear.plain_mode", lambda: False)
        patch.setattr(rounding, "BLOCK", 7 * 16)
        assert torch.equal(run(layer, x), whole)
    assert torch.equal(torch.cat([run(layer, row[None]) for row in x]), whole)


def test_a_linear_of_more_rows_than_memory_has() -> None:
    """The error of torch's own, at once, and not after the rows that do fit."""
    layer, x = ft.quantize_dynamic(nn.Linear(5, 3)), torch.zeros(()).expand(1 << 44, 5)
    with pytest.raises(RuntimeError, match="allocate memory|not enough memory"):
        run(layer, x)


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("batch_first", [False, True])
def test_short_calls_are_pieces_of_long_ones(name: str, batch_first: bool) -> None:
    rnn = getattr(nn, name)(6, 9, num_layers=2, batch_first=batch_first)
    rnn = ft.quantize_dynamic(rnn, {""})
    x = torch.randn((3, 24, 6) if batch_first else (24, 3, 6))
    time = 1 if batch_first else 0
    whole, end = run(rnn, x)
    state, pieces = None, []
    for steps in (1, 8, 3, 9, 2, 1):
        piece, x = x.split([steps, x.shape[time] - steps], time)
        y, state = run(rnn, piece.contiguous(), state)
        pieces.append(y)
    assert torch.equal(torch.cat(pieces, time), whole)
    assert all(torch.equal(a, b) for a, b in zip(tensors(state), tensors(end), strict=True))
    before = run(rnn, whole.new_ones(3, 3, 6))[0]
    rnn.load_state_dict(getattr(nn, name)(6, 9, num_layers=2).state_dict())
    assert not torch.equal(run(rnn, whole.new_ones(3, 3, 6))[0], before)  # not with old weights


def test_by_type_name_and_dict() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Sequential(nn.LSTM(4, 5), nn.Linear(5, 5))
            self.b = nn.Sequential(nn.LSTM(4, 5), nn.Linear(5, 5), nn.RNN(5, 2))

    def converted(*args: Any, **options: Any) -> dict[str, Any]:
        model = Two()
        new = ft.quantize_dynamic(model, *args, **options)
        found = {n: m.dtype for n, m in new.named_modules() if hasattr(m, "dtype")}
        assert new.quantize_report.converted.keys() == found.keys()
        for name in ("a.0", "a.1", "b.0", "b.1"):  # torch's idea of which, too
            there = theirs(model, *args, **options).get_submodule(name)
            assert (name in found) == ("quantized" in type(there).__module__)
        return found

    q, f = torch.qint8, torch.float16
    quantization = pytest.importorskip("torch.ao.quantization")
    int8, half = quantization.per_channel_dynamic_qconfig, quantization.float16_dynamic_qconfig
    assert converted() == {"a.0": q, "a.1": q, "b.0": q, "b.1": q}
    assert converted(dtype=f) == {"a.0": f, "a.1": f, "b.0": f, "b.1": f}
    assert converted({nn.LSTM}) == {"a.0": q, "b.0": q}
    assert converted({"a"}, dtype=f) == {"a.0": f, "a.1": f}
    assert converted({"b.1", nn.LSTM}) == {"a.0": q, "b.0": q, "b.1": q}
    assert converted({nn.Linear: int8, "b": half}) == {"a.1": q, "b.0": f, "b.1": q, "b.2": f}
    assert converted({nn.Linear: int8, "a.1": None}) == {"b.1": q}
    assert converted({"": half, "b": None}) == {"a.0": f, "a.1": f}
    assert converted({nn.RNN}) == {"b.2": q}
    assert converted(set()) == {}
    assert converted(None, q, {nn.Linear: ft.quantized.Linear}) == {"a.1": q, "b.1": q}


def test_the_report() -> None:
    class Own(nn.LSTM):
        pass

    model = nn.ModuleDict(
        {
            "own": Own(3, 4),
            "wide": nn.Linear(2, 2).double(),
            "lstm": nn.LSTM(3, 4),
            "attention": nn.MultiheadAttention(4, 2),
            "rnn": nn.RNN(3, 4),
            "conv": nn.Conv1d(1, 1, 1),
        }
    )
    report = ft.quantize_dynamic(model).quantize_report
    assert report.converted == {"lstm": "DynamicQuantizedLSTM(3, 4, dtype=torch.qint8)"}
    assert {s.name: s.why for s in report.left} == {
        "own": "no entry of qconfig_spec asks for it",
        "wide": "its parameters are torch.float64, not float32",
        "attention.out_proj": "no entry of qconfig_spec asks for it",
        "rnn": "no entry of qconfig_spec asks for it",
    }
    everything = ft.quantize_dynamic(model, {"", "nowhere", nn.GRU, Own}).quantize_report
    reasons = {s.name: s.why for s in everything.left}
    derived = "its class is derived from {}, and may compute something else"
    assert reasons["own"] == derived.format("LSTM")
    assert reasons["attention.out_proj"] == derived.format("Linear")
    assert sorted(everything.unused) == ["GRU", "nowhere"]
    text = str(everything)
    assert "2 converted, 3 left" in text
    assert "left       own  Own: its class is derived from LSTM" in text
    assert "unused     nowhere: no module goes by it" in text


@pytest.mark.parametrize("name", ["LSTM", "GRUCell", "Linear"])
def test_another_dtype_of_the_model_is_not_meant_for_it(name: str) -> None:
    new = ft.quantize_dynamic(getattr(nn, name)(4, 5))
    x = torch.randn(2, 4)
    expected = next(tensors(run(new, x)))
    for convert in (new.half, new.double, new.bfloat16, lambda: new.to("cpu", torch.float16)):
        assert torch.equal(next(tensors(run(convert(), x))), expected)
    with pytest.raises(RuntimeError, match="meta"):
        run(new.to("meta"), x)


def test_weights_that_others_read_are_left() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 1), nn.Linear(8, 3)).eval()
    new, x = ft.quantize_dynamic(model), torch.randn(2, 5, 8)
    assert new.quantize_report.converted.keys() == {"1"}
    reasons = {s.name.rpartition(".")[2]: s.why for s in new.quantize_report.left}
    assert reasons["linear1"] == "the module it stands in reads its weight itself"
    assert error(run(new, x), run(model, x)) < INT8


def test_the_model_itself() -> None:
    layer = nn.LSTM(3, 4)
    for inplace in (False, True):
        new = ft.quantize_dynamic(layer, inplace=inplace)
        assert type(new) is ft.quantized.LSTM
        assert new.quantize_report.converted.keys() == {""}
    assert "(the model itself)" in str(new.quantize_report)


def test_in_place_shared_and_hooked() -> None:
    calls: list[str] = []
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(3, 3)), "b": nn.Linear(2, 2)}).train()
    model["again"] = model["a"][0]
    model["b"].register_forward_hook(lambda *_: calls.append("hook"))
    model["b"].register_forward_pre_hook(lambda *_, **k: calls.append("pre"), with_kwargs=True)
    assert ft.quantize_dynamic(model, inplace=True) is model
    assert model["again"] is model["a"][0]
    assert model.quantize_report.converted.keys() == {"a.0", "again", "b"}
    assert not model.training
    assert not list(model.parameters())
    run(model["b"], torch.ones(1, 2))
    assert calls == ["pre", "hook"]


def test_the_report_of_a_module_that_only_its_second_name_asks_for() -> None:
    model = nn.ModuleDict({"first": nn.Linear(3, 3)})
    model["second"] = model["first"]
    new = ft.quantize_dynamic(model, {"second"})
    assert new["first"] is new["second"]
    assert new.quantize_report.converted.keys() == {"first", "second"}
    assert not new.quantize_report.left


def test_a_qconfig_on_a_module_counts() -> None:
    quantization = pytest.importorskip("torch.ao.quantization")
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].qconfig = quantization.float16_dynamic_qconfig
    model[1].qconfig = None
    new = ft.quantize_dynamic(model)
    assert new[0].dtype is torch.float16
    assert type(new[1]) is nn.Linear
    assert not hasattr(new[0], "qconfig")


def test_torchs_classes_by_a_mapping() -> None:
    dynamic = pytest.importorskip("torch.ao.nn.quantized.dynamic")
    theirs(nn.Linear(2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        new = ft.quantize_dynamic(
            nn.Sequential(nn.Linear(2, 2)), mapping={nn.Linear: dynamic.Linear}
        )
    assert type(new[0]) is dynamic.Linear
    ours = theirs(nn.Sequential(nn.LSTM(2, 3)), mapping={nn.LSTM: ft.quantized.LSTM})
    assert type(ours[0]) is ft.quantized.LSTM


@QUIET
def test_what_torch_cannot() -> None:
    model = nn.ModuleDict(
        {
            "projected": nn.LSTM(6, 8, proj_size=3, num_layers=2),
            "unbiased": nn.GRU(6, 8, bias=False),
            "relu": nn.RNNCell(6, 8, nonlinearity="relu"),
        }
    )
    ft.accelerate(model, "int8")
    new = ft.quantize_dynamic(model, {nn.LSTM, nn.GRU, nn.RNNCell})
    for name, x in (
        ("projected", torch.randn(5, 3, 6)),
        ("unbiased", torch.randn(5, 3, 6)),
        ("relu", torch.randn(3, 6)),
    ):
        both = zip(tensors(run(new[name], x)), tensors(run(model[name], x)), strict=True)
        assert all(torch.equal(a, b) for a, b in both)


def test_normed_weights_are_taken_as_they_are() -> None:
    layer = parametrizations.weight_norm(nn.Linear(5, 3))
    plain = nn.Linear(5, 3)
    with torch.no_grad():
        plain.weight.copy_(layer.weight)
        plain.bias.copy_(layer.bias)
    x = torch.randn(4, 5)
    found = [run(ft.quantize_dynamic(nn.Sequential(m)), x) for m in (layer, plain)]
    assert torch.equal(*found)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
def test_copies_pickles_and_files(kind: Any, dtype: Any) -> None:
    model, x = made(kind)
    new = ft.quantize_dynamic(model, dtype=dtype)
    expected = logits_of(run(new, *x))
    file, states = io.BytesIO(), io.BytesIO()
    torch.save(new, file)
    torch.save(new.state_dict(), states)
    file.seek(0), states.seek(0)
    blank = ft.quantize_dynamic(kind(), dtype=dtype)
    assert not torch.equal(logits_of(run(blank, *x)), expected)
    blank.load_state_dict(torch.load(states, weights_only=True))
    floats = ft.quantize_dynamic(kind(), dtype=dtype)
    missing = floats.load_state_dict(model.state_dict())
    assert not missing.missing_keys
    copies = [copy.deepcopy(new), pickle.loads(pickle.dumps(new)), blank, floats]
    copies.append(torch.load(file, weights_only=False))
    for other in copies:
        assert torch.equal(logits_of(run(other, *x)), expected)
    assert copies[0].quantize_report.converted == new.quantize_report.converted


@pytest.mark.parametrize(("dtype", "least"), [(torch.qint8, 3.5), (torch.float16, 1.9)])
def test_memory(dtype: Any, least: float) -> None:
    model = nn.ModuleDict({"lstm": nn.LSTM(64, 96, 2), "cell": nn.GRUCell(64, 96)})
    before = sum(p.nbytes for p in model.parameters())
    new = ft.quantize_dynamic(model, dtype=dtype)
    run(new["lstm"], torch.zeros(2, 1, 64)), run(new["cell"], torch.zeros(1, 64))
    held = [t for m in new.modules() for t in vars(m).values() if isinstance(t, torch.Tensor)]
    assert not held
    assert not list(new.parameters())
    assert before / sum(b.nbytes for b in new.buffers()) > least
    assert len(pickle.dumps(model)) / len(pickle.dumps(new)) > least * 0.9


@pytest.mark.parametrize("name", ["LSTM", "GRUCell", "Linear"])
def test_there_is_no_backward(name: str) -> None:
    new = ft.quantize_dynamic(nn.Sequential(getattr(nn, name)(4, 5)))[0].train()
    x = torch.randn(3, 2, 4) if name != "GRUCell" else torch.randn(2, 4)
    plain = next(tensors(new(x)))
    assert not plain.requires_grad
    y = next(tensors(new(fresh(x))))
    assert torch.equal(y, plain)
    say = f"DynamicQuantized{name} has no backward pass: it is quantized, for inference alone"
    with pytest.raises(RuntimeError, match=say):
        y.sum().backward()
    if name == "LSTM":
        data = new(packed(fresh(x), [2, 3]))[0].data
        with pytest.raises(RuntimeError, match=say):
            data.sum().backward()


def test_errors_are_torchs() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    say = "Don't know how to quantize with default settings for torch.int8"
    with pytest.raises(ValueError, match=say):
        ft.quantize_dynamic(model, dtype=torch.int8)
    with pytest.raises(ValueError, match="default settings for torch.quint8"):
        ft.quantize_dynamic(model, dtype=torch.quint8)
    with pytest.raises(ValueError, match="default settings for"):
        ft.quantize_dynamic(model, dtype=np.zeros(2))
    with pytest.raises(TypeError, match="is a ndarray, expected a QConfig or None"):
        ft.quantize_dynamic(model, {nn.Linear: np.zeros(2)})
    with pytest.raises(RuntimeError, match="Unknown dtype specified for quantize_dynamic: torch.b"):
        ft.quantize_dynamic(model, {nn.Linear}, dtype=torch.bfloat16)
    with pytest.raises(TypeError, match="qconfig_spec is a list, expected a set"):
        ft.quantize_dynamic(model, [nn.Linear])
    with pytest.raises(TypeError, match="is a int, expected a QConfig or None"):
        ft.quantize_dynamic(model, {nn.Linear: 3})
    with pytest.raises(TypeError, match=re.escape("model is a str, expected a torch.nn.Module")):
        ft.quantize_dynamic("model")
    quantization = pytest.importorskip("torch.ao.quantization")
    wrong = quantization.float_qparams_weight_only_qconfig
    with pytest.raises(RuntimeError, match="Unsupported dtype for dynamic quantization of Linear"):
        ft.quantize_dynamic(model, {nn.Linear: wrong})


def test_weights_that_are_not_finite() -> None:
    model = nn.ModuleDict({"fine": nn.Linear(3, 3), "rnn": nn.LSTM(3, 4)})
    with torch.no_grad():
        model["rnn"].weight_hh_l0[5, 2] = float("inf")
    say = re.escape("rnn: weight_hh_l0[5, 2] is inf, expected finite numbers in int8")
    with pytest.raises(ValueError, match=say):
        ft.quantize_dynamic(model, inplace=True)
    assert type(model["fine"]) is nn.Linear
    assert model.training
    with pytest.warns(UserWarning, match="weight_hh_l0 has numbers beyond float16's 65504"):
        ft.quantize_dynamic(model, dtype=torch.float16)


def test_calls_that_do_not_fit() -> None:
    linear = ft.quantize_dynamic(nn.Sequential(nn.Linear(3, 2)))[0]
    with pytest.raises(RuntimeError, match="expected 3 in its last axis"):
        linear(torch.zeros(2, 4))
    with pytest.raises(RuntimeError, match="does not match weight dtype"):
        linear(torch.zeros(2, 3).double())
    lstm = ft.quantize_dynamic(nn.Sequential(nn.LSTM(3, 4)))[0]
    with pytest.raises(RuntimeError, match=re.escape("input.size(-1) must be equal to input_size")):
        run(lstm, torch.zeros(2, 1, 4))
    assert run(lstm, torch.zeros(2, 0, 3))[0].shape == (2, 0, 4)
    with pytest.raises(RuntimeError, match="DynamicQuantizedLSTM cannot be traced"):
        torch.func.vmap(lstm)(torch.zeros(2, 2, 1, 3))
    cell = ft.quantize_dynamic(nn.Sequential(nn.GRUCell(3, 4)))[0]
    with pytest.raises(RuntimeError, match="inconsistent input_size: got 5 expected 3"):
        run(cell, torch.zeros(2, 5))
    with pytest.raises(RuntimeError, match="DynamicQuantizedGRUCell cannot be traced"):
        torch.func.vmap(cell)(torch.zeros(2, 3))


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
@pytest.mark.parametrize("name", ["Linear", *SEQUENCES, *CELLS])
def test_memory_that_was_freed_is_not_read(name: str, dtype: Any) -> None:
    new = ft.quantize_dynamic(getattr(nn, name)(3, 4), {""}, dtype)
    x = torch.randn(2, 3) if name in CELLS else torch.randn(2, 2, 3)
    state = torch.zeros((2, 4) if name in CELLS else (1, 2, 4))
    gone = [x.clone()]
    gone[0].untyped_storage().resize_(0)
    calls: list[tuple[Any, ...]] = [(gone[0],)]
    if name != "Linear":
        gone.append(state.clone())
        gone[1].untyped_storage().resize_(0)
        calls.append((x, (gone[1], state) if "LSTM" in name else gone[1]))
    run(new, x)  # so that weights are packed
    for args in calls:  # torch itself has a word about some
        with pytest.raises(RuntimeError, match="storage was freed|storage of size 0"):
            run(new, *args)
    for key in list(new.state_dict()):
        other = ft.quantize_dynamic(getattr(nn, name)(3, 4), {""}, dtype)
        other.get_buffer(key).untyped_storage().resize_(0)
        with pytest.raises(RuntimeError, match="storage was freed"):
            run(other, x)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_of_no_rows(name: str) -> None:
    cell = ft.quantize_dynamic(getattr(nn, name)(3, 4))
    assert next(tensors(run(cell, torch.zeros(0, 3)))).shape == (0, 4)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_recorded() -> None:
    model = ft.quantize_dynamic(nn.Sequential(nn.Linear(4, 3), nn.LSTM(3, 4)))
    x = torch.randn(rounding.BLOCK // 4 + 9, 4)
    traced = torch.jit.trace(model[0], (x[:2],))
    assert torch.equal(traced(x), model[0](x))
    for module in model:
        with pytest.raises(RuntimeError, match="torch.jit.script compiles Python's code, but a Dy"):
            torch.jit.script(module)
    with pytest.raises(RuntimeError, match="DynamicQuantizedLSTM cannot be traced, exported or"):
        torch.jit.trace(model[1], (torch.zeros(2, 1, 3),))


def test_fixed_weights_leaves_them_alone() -> None:
    cell, x = ft.quantize_dynamic(nn.Sequential(nn.LSTMCell(3, 4))), torch.randn(2, 3)
    with ft.fixed_weights(cell):
        inside = run(cell, x)
    assert all(torch.equal(a, b) for a, b in zip(inside, run(cell, x), strict=True))


@pytest.mark.slow
def test_compiled() -> None:
    model = ft.quantize_dynamic(Bidirectional(5, 6, 7))
    x = torch.randn(2, 9, 5)
    compiled = torch.compile(model, backend="eager")
    assert torch.equal(run(compiled, x), run(model, x))


def test_autocast() -> None:
    model, x = made(TextReader)
    new = ft.quantize_dynamic(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = run(new, *x)
    assert y.dtype == torch.bfloat16
    assert error(y.float(), run(model, *x)) < 0.05


def test_explain() -> None:
    lstm = ft.quantize_dynamic(nn.Sequential(nn.LSTM(3, 4)))[0]
    told = ft.explain(lstm, torch.zeros(2, 1, 3))
    assert not told.copies
    told = ft.explain(lstm, torch.zeros(9, 1, 3))
    assert (told.precision, told.dtype, told.cell) == ("int8", "float32", "lstm")
    assert "weights: from torch.qint8 to float32" in told.copies
    cell = ft.quantize_dynamic(nn.Sequential(nn.GRUCell(3, 4)), dtype=torch.float16)[0]
    told = ft.explain(cell, torch.zeros(2, 3))
    assert (told.precision, told.dtype, told.cell) == ("float32", "float32", "gru")
