"""`accelerate` and `explain`."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from dropin import ft, packed, tensors, torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils import parametrizations, parametrize

import fastlstm

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
T, N, I, H = 5, 3, 4, 6
X = torch.randn(T, N, I, generator=torch.Generator().manual_seed(0))


class Named(nn.LSTM):
    """A subclass with more to it, but torch's forward."""

    extra = 3

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register_buffer("scale", torch.ones(2))


class Forward(nn.GRU):
    def forward(self, input: Any, hx: Any = None) -> Any:
        return super().forward(input * 2, hx)


class Alone(nn.GRU):
    def forward(self, input: Any, hx: Any = None) -> Any:
        return nn.GRU.forward(self, input * 2, hx)


class WithLengths:
    """A class beside torch's, whose forward hands on what it does not read."""

    def forward(self, input: Any, hx: Any = None, lengths: Any = None, **more: Any) -> Any:
        if lengths is None:
            return super().forward(input, hx, **more)  # type: ignore[misc]
        packed = nn.utils.rnn.pack_padded_sequence(input, lengths, enforce_sorted=False)
        y, state = super().forward(packed, hx, **more)  # type: ignore[misc]
        return nn.utils.rnn.pad_packed_sequence(y)[0], state


class Mixed(WithLengths, nn.LSTM):
    pass


class OwnCell(nn.LSTMCell):
    def forward(self, input: Any, hx: Any = None) -> Any:
        h, c = super().forward(input, hx)
        return h + 1, c


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.ModuleDict({"a": nn.LSTM(I, H), "b": nn.GRU(I, H), "c": nn.RNN(I, H)})
        self.cells = nn.ModuleList([nn.LSTMCell(I, H), nn.GRUCell(I, H), nn.RNNCell(I, H)])
        self.shared = self.rnn["a"]
        self.out = nn.Linear(H, 2)

    def forward(self, x: Any) -> Any:
        y = sum(self.rnn[k](x)[0] for k in self.rnn) + self.shared(x)[0]
        y = y + sum(next(tensors(cell(x[0]))) for cell in self.cells)
        return self.out(y)


def test_a_model() -> None:
    model = Tagger().eval()
    before = dict(model.named_parameters())
    expected = model(X)
    calls: list[Any] = []
    model.rnn["b"].register_forward_hook(lambda *_: calls.append(1))
    report = ft.accelerate(model)
    assert report.model is model
    assert report.swapped == {
        "rnn.a": "LSTM",
        "rnn.b": "GRU",
        "rnn.c": "RNN",
        "cells.0": "LSTMCell",
        "cells.1": "GRUCell",
        "cells.2": "RNNCell",
    }
    assert not report.skipped
    assert all(
        type(m) is getattr(ft, type(m).__name__) for m in [*model.rnn.values(), *model.cells]
    )
    assert model.shared is model.rnn["a"]
    assert not model.rnn["a"].training
    after = dict(model.named_parameters())
    assert before.keys() == after.keys()
    assert all(after[k] is before[k] for k in before)
    torch.testing.assert_close(model(X), expected)
    assert calls == [1]
    with_kernel = ft.explain(model.rnn["a"], X)
    assert with_kernel.runs_on == "fastlstm"


def test_an_optimizer_made_before_goes_on() -> None:
    outputs = []
    for accelerated in (False, True):
        torch.manual_seed(0)
        model = Tagger()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        if accelerated:
            ft.accelerate(model)
        before = model(X)
        before.sum().backward()
        optimizer.step()
        outputs.append(model(X))
        assert not torch.allclose(outputs[-1], before)
    torch.testing.assert_close(*outputs)


def test_the_model_itself() -> None:
    model = nn.LSTM(I, H)
    expected = model(X)[0]
    report = ft.accelerate(model)
    assert report.model is model
    assert report.swapped == {"": "LSTM"}
    assert type(model) is ft.LSTM
    torch.testing.assert_close(model(X)[0], expected)
    assert "1 swapped, 0 skipped\n  swapped  (the model itself)  LSTM" in repr(report)


def test_subclasses() -> None:
    model = nn.ModuleDict({"kept": Named(I, H), "alone": Alone(I, H)})
    expected = {k: model[k](X)[0] for k in model}
    report = ft.accelerate(model)
    assert report.swapped == {"kept": "Named"}
    assert [(s.name, s.module) for s in report.skipped] == [("alone", "Alone")]
    assert "forward of its own, which does not call super().forward" in report.skipped[0].why
    kept = model["kept"]
    assert isinstance(kept, Named)
    assert isinstance(kept, ft.LSTM)
    assert kept.extra == 3
    file = io.BytesIO()
    torch.save(kept, file)
    file.seek(0)
    for other in (
        kept,
        copy.deepcopy(kept),
        pickle.loads(pickle.dumps(kept)),
        torch.load(file, weights_only=False),
    ):
        assert type(other) is type(kept)
        assert torch.equal(other.scale, torch.ones(2))
        torch.testing.assert_close(other(X)[0], expected["kept"])


def run(model: Any, x: Any, **more: Any) -> list[Any]:
    """Outputs of a module, and its gradients."""
    model.zero_grad()
    first, second = model(x, **more)
    (first.sin().sum() + sum(part.sum() for part in second)).backward()
    return [first, *[p.grad for p in model.parameters()]]


@pytest.mark.parametrize(
    ("make", "more"),
    [
        pytest.param(lambda: Forward(I, H), {}, id="scaled"),
        pytest.param(lambda: Mixed(I, H), {"lengths": [3, 1, 4]}, id="mixed"),
        pytest.param(lambda: Mixed(I, H, 2, bidirectional=True), {}, id="bidirectional"),
        pytest.param(lambda: OwnCell(I, H), {}, id="cell"),
    ],
)
def test_a_forward_that_calls_the_next_one(
    make: Callable[[], Any], more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = make()
    x = torch.randn(*((5, 3, I) if isinstance(model, nn.RNNBase) else (3, I)))
    expected, kind = run(model, x, **more), type(model)
    assert ft.accelerate(model).swapped == {"": kind.__name__}
    calls = []
    ours = next(c for c in type(model).__mro__ if c.__module__.startswith("fastlstm"))
    forward = ours.forward
    monkeypatch.setattr(ours, "forward", lambda *a, **k: calls.append(1) or forward(*a, **k))
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        calls.clear()
        torch.testing.assert_close(run(other, x, **more), expected)
        assert calls == [1]
    assert type(ft.restore(model)) is kind
    torch.testing.assert_close(run(model, x, **more), expected)


def test_a_forward_set_on_the_object() -> None:
    model = nn.GRU(I, H)
    model.forward = lambda x: x  # type: ignore[method-assign]
    (skipped,) = ft.accelerate(model).skipped
    assert "forward of its own" in skipped.why
    assert model(X) is X


def test_parametrized() -> None:
    model = nn.LSTM(I, H)
    parametrizations.weight_norm(model, "weight_hh_l0")
    expected = model(X)[0]
    assert ft.accelerate(model).swapped == {"": "ParametrizedLSTM"}
    assert isinstance(model, ft.LSTM)
    torch.testing.assert_close(model(X)[0], expected)
    parametrize.remove_parametrizations(model, "weight_hh_l0")
    assert type(model) is ft.LSTM
    torch.testing.assert_close(model(X)[0], expected)


def on_another_device(module: Any) -> Any:
    """The module with parameters of a GPU, though there is none: they hold no numbers."""
    with FakeTensorMode():
        for key, p in list(module.named_parameters()):
            module._parameters[key] = nn.Parameter(torch.empty(p.shape, device="cuda:0"))
    return module


def test_what_is_skipped() -> None:
    model = nn.ModuleDict(
        {
            "low": nn.GRU(I, H, dtype=torch.bfloat16),
            "elsewhere": on_another_device(nn.RNNCell(I, H)),
            "ours": ft.LSTM(I, H),
            "script": torch.jit.script(nn.LSTM(I, H)),
            "linear": nn.Linear(I, H),
            "script_linear": torch.jit.script(nn.Linear(I, H)),
        }
    )
    report = ft.accelerate(model)
    assert not report.swapped
    why = {s.name: s.why for s in report.skipped}
    assert why.keys() == {"low", "elsewhere", "ours", "script"}
    assert "torch.bfloat16, not float32 or float64" in why["low"]
    assert "device cuda:0, not on the CPU" in why["elsewhere"]
    assert "already" in why["ours"]
    assert "torch.jit" in why["script"]
    assert "0 swapped, 4 skipped\n  skipped  low  GRU: its param" in repr(report)
    assert type(model["low"]) is nn.GRU


def test_twice() -> None:
    model = Tagger()
    ft.accelerate(model)
    again = ft.accelerate(model)
    assert not again.swapped
    assert len(again.skipped) == 6


def test_not_a_module() -> None:
    with pytest.raises(TypeError, match="model is a list, expected a torch.nn.Module"):
        ft.accelerate([])


def test_explain(backend_isa: str) -> None:
    backend, _, isa = backend_isa.partition("-")
    found = ft.explain(ft.GRU(I, H, 2, bidirectional=True), X)
    assert found.runs_on == "fastlstm"
    assert (found.backend, found.cell, found.dtype, found.calls) == (backend, "gru", "float32", 4)
    assert found.isa == (isa or fastlstm.runtime_info()["isa"])
    assert found.batch == "3 rows of 5 steps"
    assert found.keeps
    assert not found.copies
    assert "cell     gru" in str(found)
    assert "copies   none" in str(found)


def test_explain_says_what_is_kept_and_copied() -> None:
    module = ft.LSTM(I, H)
    with torch.no_grad():
        assert not ft.explain(module, X).keeps
    ragged = ft.explain(module, X, lengths=[5, 0, 2])
    assert ragged.batch == "3 rows of 5 steps, ragged: 7 of 15 steps are computed"
    assert not ragged.copies
    assert ft.explain(module, X.transpose(0, 1).contiguous().transpose(0, 1)).copies == ()
    (why,) = ft.explain(module, X.permute(2, 1, 0).contiguous().permute(2, 1, 0)).copies
    assert why == "input: the stride of its last axis is 15, not 1"
    hx = (torch.zeros(1, H, N).transpose(1, 2), torch.zeros(1, N, H))
    (why,) = ft.explain(module, X, hx).copies
    assert why.startswith("hx (1, 3, 6): it is not contiguous")
    places, order = ft.explain(module, packed(X, [1, 5, 2]), (hx[1], hx[1])).copies
    assert "packed rows go to their places" in places
    assert "in the order of the PackedSequence" in order
    assert ft.explain(module, packed(X, [5, 5, 5], sort=True)).copies == ()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (cast,) = ft.explain(module, X).copies
    assert cast == "input, hx, output: to float32 and from it to bfloat16 for autocast"
    module.weight_hh_l0.data = module.weight_hh_l0.data.t().contiguous().t()
    (why,) = ft.explain(module, X).copies
    assert why.startswith("a parameter (24, 6): it is not contiguous")


def test_explain_a_cell() -> None:
    found = ft.explain(ft.RNNCell(I, H, nonlinearity="relu"), X[0], torch.zeros(N, H))
    assert (found.cell, found.batch, found.calls) == ("rnn_relu", "3 rows of 1 step", 1)
    with pytest.raises(TypeError, match="lengths is given, but GRUCell takes one step"):
        ft.explain(ft.GRUCell(I, H), X[0], lengths=[1])


def test_explain_what_runs_on_torch() -> None:
    assert ft.explain(ft.GRU(I, H), X[:, :0]).runs_on == "torch: the input is empty"
    with pytest.raises(TypeError, match=r"module is a torch.nn.modules.rnn.GRU, expected a modul"):
        ft.explain(nn.GRU(I, H), X)


def test_explain_raises_what_the_call_would() -> None:
    with pytest.raises(ValueError, match="RNN input dtype"):
        ft.explain(ft.GRU(I, H), X.double())
