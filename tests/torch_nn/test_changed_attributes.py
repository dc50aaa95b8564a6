"""Attributes of a module that are changed afterwards: followed, or an error; compiled as well."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from dropin import CELLS, F64, QUIET, SEQUENCES, ft, tensors, torch
from torch.utils.flop_counter import FlopCounterMode

T, N, I, H = 4, 3, 4, 6
pytestmark = [
    QUIET,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the compiler's own, as below
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def draw(*shape: int, seed: int = 0, dtype: Any = torch.float32) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def input_of(name: str, T: int = T, I: int = I) -> Any:
    return draw(*((N, I) if name in CELLS else (T, N, I)))


class Derived(torch.nn.GRU):
    """A class of a user's own, for `accelerate`."""


def made(how: str, name: str) -> Any:
    """A module of ours, or one of torch's that was accelerated."""
    if how == "made":
        return getattr(ft, name)(I, H)
    module = Derived(I, H) if how == "derived" else getattr(torch.nn, name)(I, H)
    return ft.accelerate(module).model


FORMS = [
    *[(how, name) for how in ("made", "accelerated") for name in (*SEQUENCES, *CELLS)],
    ("derived", "GRU"),
]
every = pytest.mark.parametrize(("how", "name"), FORMS, ids=str)


def assert_equal(actual: list[Any], expected: list[Any]) -> None:
    assert len(actual) == len(expected)
    assert all(torch.equal(a, e) for a, e in zip(actual, expected, strict=True))


# In compiled code.


def follows(module: Any, x: Any, name: str, values: Any) -> list[Any]:
    """Check that compiled code is that of each value in turn; return what it gave."""
    torch._dynamo.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    found = []
    for value in values:
        setattr(module, name, value)
        outputs = [t.detach() for t in tensors(compiled(x))]
        assert_equal(outputs, [t.detach() for t in tensors(module(x))])
        found.append(tuple(outputs[0].flatten().tolist()))
    return found


@every
def test_compiled_code_follows_the_precision(how: str, name: str) -> None:
    with torch.no_grad():
        values = ("float32", "bfloat16", "int8", "float32")
        found = follows(made(how, name), input_of(name), "precision", values)
    assert len(set(found)) == 3
    assert found[0] == found[3]


@every
def test_compiled_code_follows_the_precision_in_training(how: str, name: str) -> None:
    found = follows(made(how, name), input_of(name), "precision", ("float32", "bfloat16"))
    assert found[0] != found[1]


def test_compiled_code_follows_what_accelerate_sets() -> None:
    model, x = torch.nn.Sequential(torch.nn.GRUCell(I, H)), input_of("GRUCell")
    ft.accelerate(model)
    torch._dynamo.reset()
    compiled, found = torch.compile(model, backend="eager", fullgraph=True), []
    with torch.no_grad():
        for precision in ("float32", "bfloat16", "int8"):
            ft.accelerate(model, precision=precision)
            found.append(compiled(x))
            assert torch.equal(found[-1], model(x))
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("how", ["made", "accelerated"])
def test_compiled_code_follows_the_nonlinearity(how: str, grad: bool) -> None:
    with torch.set_grad_enabled(grad):
        values = ("tanh", "relu", "tanh")
        found = follows(made(how, "RNNCell"), input_of("RNNCell"), "nonlinearity", values)
    assert found[0] != found[1]
    assert found[0] == found[2]


@pytest.mark.parametrize("how", ["made", "accelerated"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_compiled_code_follows_the_axes(how: str, name: str) -> None:
    found = follows(made(how, name), draw(N, N, I), "batch_first", (False, True))
    assert found[0] != found[1]


# Of a module whose sizes were changed torch's gives numbers of no meaning, or crashes.

CHANGED = [
    ({}, "hidden_size", 3),
    ({}, "hidden_size", 9),
    ({}, "input_size", 5),
    ({}, "num_layers", 2),
    ({"num_layers": 2}, "num_layers", 1),
    ({}, "bidirectional", True),
    ({"bidirectional": True}, "bidirectional", False),
    ({}, "bias", False),
    ({"num_layers": 2}, "bias", False),
    ({"bias": False}, "bias", True),
    ({}, "proj_size", 2),
    ({"proj_size": 2}, "proj_size", 0),
    ({"proj_size": 2}, "proj_size", 3),
    ({"num_layers": 2, "bidirectional": True}, "hidden_size", 3),
]


@pytest.mark.pairs
@pytest.mark.parametrize("steps", [1, T])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("how", ["eager", "compiled", "as operators"])
@pytest.mark.parametrize(("options", "attribute", "value"), CHANGED, ids=str)
@pytest.mark.parametrize("name", SEQUENCES)
def test_a_size_that_was_changed_is_an_error(
    name: str, options: dict[str, Any], attribute: str, value: Any, how: str, grad: bool, steps: int
) -> None:
    if name != "LSTM" and "proj_size" in options:
        return  # torch has no such module
    module = getattr(ft, name)(I, H, **options)
    x = input_of(name, steps, value if attribute == "input_size" else I)
    expected = module(x[..., :I])
    before = getattr(module, attribute)
    setattr(module, attribute, value)
    call, mode = module, nullcontext()
    if how == "compiled":
        torch._dynamo.reset()
        call = torch.compile(module, backend="eager", fullgraph=True)
    elif how == "as operators":
        mode = FlopCounterMode(display=False)
    # the compiler's errors are of classes of its own
    raised = pytest.raises(
        RuntimeError if how != "compiled" else Exception,
        match=rf"{name}: .*{attribute} {value}.* fit its parameters",
    )
    with torch.set_grad_enabled(grad), mode, raised:
        call(x)
    setattr(module, attribute, before)
    assert_equal(list(tensors(module(x[..., :I]))), list(tensors(expected)))


@pytest.mark.parametrize("name", SEQUENCES)
def test_sizes_changed_with_the_parameters_are_right(name: str) -> None:
    """As one prunes units."""
    module, rows = getattr(ft, name)(I, H), torch.arange(H) % 2 == 0
    gates = module.weight_hh_l0.shape[0] // H
    small = getattr(torch.nn, name)(I, H // 2)
    with torch.no_grad():
        for key, p in list(module.named_parameters()):
            part = p.unflatten(0, (gates, H))[:, rows].flatten(0, 1)
            part = part[:, rows] if "weight_hh" in key else part
            setattr(module, key, torch.nn.Parameter(part.contiguous()))
            getattr(small, key).copy_(part)
    module.hidden_size = H // 2
    for steps in (1, T):
        x = input_of(name, steps)
        for actual, expected in zip(tensors(module(x)), tensors(small(x)), strict=True):
            torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("attribute", ["hidden_size", "input_size", "bias"])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", CELLS)
def test_of_a_cell_they_mean_what_they_do_in_torch(
    name: str, precision: str, grad: bool, given: bool, attribute: str
) -> None:
    """A cell goes by its parameters; by hidden_size, too, where it makes the states."""
    torch.manual_seed(0)
    ours, theirs = getattr(ft, name)(I, H), getattr(torch.nn, name)(I, H)
    theirs.load_state_dict(ours.state_dict())
    ours.precision = precision
    x, h = draw(N, I), draw(N, H, seed=1)
    hx = ((h, h) if name == "LSTMCell" else h) if given else None
    for module in (ours, theirs):
        setattr(module, attribute, attribute != "bias" and 5)
    with torch.set_grad_enabled(grad):
        if attribute == "hidden_size" and not given:
            for module in (ours, theirs):
                with pytest.raises(RuntimeError, match="inconsistent hidden_size: got 5, expect"):
                    module(x)
            return
        for actual, expected in zip(tensors(ours(x, hx)), tensors(theirs(x, hx)), strict=True):
            torch.testing.assert_close(actual, expected, rtol=0, atol=2e-2)


def test_a_cell_of_doubles_goes_by_its_parameters_too() -> None:
    cell, x = ft.GRUCell(I, H, dtype=F64), draw(N, I, dtype=F64)
    expected = cell(x)
    cell.hidden_size = H + 1
    with pytest.raises(RuntimeError, match=f"hidden0 has inconsistent hidden_size: got {H + 1}"):
        cell(x)
    cell.hidden_size = H
    assert torch.equal(cell(x), expected)
