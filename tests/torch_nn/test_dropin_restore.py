"""What looks at the class of a module itself, and the way back to torch's."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from dropin import CELLS, SEQUENCES, ft, pair, tensors, torch
from torch import nn
from torch.ao.quantization import quantize_dynamic

I, H = 3, 4
ALL = (*SEQUENCES, *CELLS)
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated"),
    pytest.mark.filterwarnings("ignore:.*TypedStorage is deprecated"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor, torch.quantize_per_channel"),
]


class Derived(nn.GRU):
    """A class of a user's own."""


class Model(nn.Module):
    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(H, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0])


def draw(name: str) -> Any:
    return torch.randn((2, I) if name in CELLS else (5, 2, I))


@pytest.mark.parametrize("name", ALL)
def test_restore(name: str) -> None:
    theirs, ours = pair(name, I, H)
    model = nn.Sequential(ours, nn.Linear(H, 2))
    weight = ours.weight_hh if name in CELLS else ours.weight_hh_l0
    assert ft.restore(model) is model
    assert type(model[0]) is type(theirs)
    assert (weight is ours.weight_hh) if name in CELLS else (weight is ours.weight_hh_l0)
    x = draw(name)
    for actual, expected in zip(tensors(ours(x)), tensors(theirs(x)), strict=True):
        assert torch.equal(actual, expected)
    assert ft.accelerate(model).swapped == {"0": name}
    assert type(model[0]) is getattr(ft, name)


def test_restore_of_a_derived_and_of_a_parametrized_module() -> None:
    norm = torch.nn.utils.parametrizations.weight_norm
    model = nn.Sequential(Derived(I, H), norm(nn.GRU(I, H), "weight_hh_l0"))
    before = [type(m).__mro__ for m in model]
    x = draw("GRU")
    expected = [m(x)[0] for m in model]
    ft.accelerate(model)
    assert all(isinstance(m, ft.GRU) for m in model)
    ft.restore(model)
    assert type(model[0]) is Derived
    assert [t.__name__ for t in type(model[1]).__mro__] == [t.__name__ for t in before[1]]
    assert not any(isinstance(m, ft.GRU) for m in model)
    for module, value in zip(model, expected, strict=True):
        assert torch.equal(module(x)[0], value)


def test_a_class_derived_from_ours_stays() -> None:
    class Own(ft.GRU):
        pass

    model = nn.Sequential(Own(I, H))
    ft.restore(model)
    assert type(model[0]) is Own


def test_restore_needs_a_module() -> None:
    with pytest.raises(TypeError, match=r"model is a dict, expected a torch\.nn\.Module"):
        ft.restore({})


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_quantize_dynamic_after_restore(name: str) -> None:
    theirs, ours = pair(name, I, H)
    models = [Model(m) for m in (theirs, ours)]
    models[1].head.load_state_dict(models[0].head.state_dict())
    x = draw(name)
    types = {nn.LSTM, nn.GRU, nn.Linear}
    assert type(quantize_dynamic(models[1], types).rnn) is getattr(ft, name)  # passed over
    found, expected = (quantize_dynamic(ft.restore(m), types) for m in models[::-1])
    assert type(found.rnn).__module__.startswith("torch.ao")
    assert torch.equal(found(x), expected(x))


@pytest.mark.parametrize("name", ALL)
def test_scripting_is_refused_and_works_after_restore(name: str) -> None:
    _, ours = pair(name, I, H)
    x = draw(name)
    model = Model(ours)
    expected = model(x)
    for part in (ours, model):
        with pytest.raises(RuntimeError, match=rf"a {name} of fastlstm.*restore\(model\)"):
            torch.jit.script(part)
    assert type(ours) is getattr(ft, name)
    torch.testing.assert_close(torch.jit.script(ft.restore(model))(x), expected)


def test_the_report_says_so() -> None:
    shown = repr(ft.accelerate(nn.Sequential(nn.GRU(I, H))))
    assert "type(m)" in shown
    assert "restore(model)" in shown
    assert "accelerate it again" in shown
    assert "note" not in repr(ft.accelerate(nn.Linear(1, 1)))


def test_a_model_that_is_built_anew() -> None:
    """With a state_dict come values, and no classes; copies and pickles keep the class."""
    model = Model(nn.GRU(I, H))
    ft.accelerate(model)
    again = Model(nn.GRU(I, H))
    again.load_state_dict(model.state_dict())
    assert type(again.rnn) is nn.GRU
    assert ft.accelerate(again).swapped == {"rnn": "GRU"}
    assert torch.equal(again(x := draw("GRU")), model(x))
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (copy.copy(model), copy.deepcopy(model), torch.load(file, weights_only=False)):
        assert type(other.rnn) is ft.GRU
        assert torch.equal(other(x), model(x))
