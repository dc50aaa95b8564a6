"""Modules on the device meta: made there, filled, and called for shapes alone, as torch's."""

from __future__ import annotations

from typing import Any

import pytest
from dropin import CELLS, QUIET, SEQUENCES, ft, packed, tensors, torch

T, N, I, H = 5, 3, 4, 6
pytestmark = QUIET
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in (*SEQUENCES, *CELLS)),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.5}),
    ("LSTM", {"proj_size": 2}),
    ("GRU", {"bidirectional": True, "bias": False}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
]
every = pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)


def pair_on(device: str, name: str, options: dict[str, Any]) -> list[Any]:
    """torch's module and ours, made on a device."""
    with torch.device(device):
        return [getattr(place, name)(I, H, **options) for place in (torch.nn, ft)]


def input_of(name: str, options: dict[str, Any]) -> Any:
    if name in CELLS:
        return torch.randn(N, I)
    return torch.randn(*((N, T) if options.get("batch_first") else (T, N)), I)


def described(value: Any) -> list[Any]:
    return [(t.shape, t.dtype, t.device, t.requires_grad) for t in tensors(value)]


@every
@pytest.mark.parametrize("grad", [True, False])
def test_shapes(name: str, options: dict[str, Any], grad: bool) -> None:
    theirs, ours = pair_on("meta", name, options)
    x = input_of(name, options)
    with torch.set_grad_enabled(grad):
        expected = described(theirs(x.to("meta")))
        assert described(ours(x.to("meta"))) == expected
        real = [shape for shape, *_ in described(getattr(ft, name)(I, H, **options)(x))]
    assert [shape for shape, *_ in expected] == real
    assert all(device.type == "meta" for _, _, device, _ in expected)


@every
def test_shapes_of_gradients(name: str, options: dict[str, Any]) -> None:
    theirs, ours = pair_on("meta", name, options)
    x = input_of(name, options).to("meta")
    for module in (theirs, ours):
        sum(t.sum() for t in tensors(module(x))).backward()
    for p, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert p.grad.is_meta
        assert p.grad.shape == expected.grad.shape


@every
def test_shapes_with_states_and_without_a_batch_axis(name: str, options: dict[str, Any]) -> None:
    theirs, ours = pair_on("meta", name, options)
    x = input_of(name, options)[0].to("meta")
    states = theirs(x) if name in CELLS else theirs(x)[1]
    assert described(ours(x, states)) == described(theirs(x, states))


@pytest.mark.parametrize("name", SEQUENCES)
def test_shapes_of_a_packed_sequence(name: str) -> None:
    theirs, ours = pair_on("meta", name, {})
    x = packed(torch.randn(T, N, I), [2, 5, 3])
    x = x._replace(data=x.data.to("meta"))
    assert described(ours(x)) == described(theirs(x))


@pytest.mark.parametrize("name", [*SEQUENCES, *CELLS])
@pytest.mark.parametrize("steps", [1, T])
def test_shapes_with_what_torch_has_not(name: str, steps: int) -> None:
    """Of lengths and resets no shape depends."""
    _, ours = pair_on("meta", name, {})
    x = torch.randn(N, I) if name in CELLS else torch.randn(steps, N, I)
    expected = [shape for shape, *_ in described(ours(x.to("meta")))]
    reset = torch.zeros(x.shape[:-1], dtype=torch.bool)
    rows: dict[str, Any] = {} if name in CELLS else {"lengths": torch.tensor([1, steps, 1])}
    for given in (reset, reset.to("meta")):
        found = described(ours(x.to("meta"), reset=given, **rows))
        assert [shape for shape, *_ in found] == expected


@every
@pytest.mark.parametrize("assign", [True, False])
def test_filled(name: str, options: dict[str, Any], assign: bool) -> None:
    """Loaded with `assign`, or on the CPU first; then it computes and trains."""
    source, x = getattr(torch.nn, name)(I, H, **options), input_of(name, options)
    _, ours = pair_on("meta", name, options)
    if not assign:
        ours.to_empty(device="cpu")
    ours.load_state_dict(source.state_dict(), assign=assign)
    for module in (source, ours):
        module.eval()
        module.requires_grad_()
        module.zero_grad()
        sum(t.sum() for t in tensors(module(x))).backward()
    for actual, expected in zip(tensors(ours(x)), tensors(source(x)), strict=True):
        torch.testing.assert_close(actual, expected)
    for actual, expected in zip(ours.parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(actual.grad, expected.grad, rtol=1e-4, atol=1e-4)


@every
def test_every_parameter_moved_to_meta_as_it_is_registered(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As libraries do that make a large model without its memory."""
    register = torch.nn.Module.register_parameter

    def to_meta(module: Any, key: str, parameter: Any) -> None:
        register(module, key, parameter)
        if parameter is not None:
            empty = torch.nn.Parameter(parameter.to("meta"), parameter.requires_grad)
            module._parameters[key] = empty

    source, x = getattr(torch.nn, name)(I, H, **options), input_of(name, options)
    with monkeypatch.context() as patched:
        patched.setattr(torch.nn.Module, "register_parameter", to_meta)
        ours = getattr(ft, name)(I, H, **options)
    assert all(p.is_meta for p in ours.parameters())
    assert all(t.is_meta for t in tensors(ours(x.to("meta"))))
    ours.load_state_dict(source.state_dict(), assign=True)
    for actual, expected in zip(tensors(ours.eval()(x)), tensors(source.eval()(x)), strict=True):
        torch.testing.assert_close(actual, expected)


def test_a_model_that_is_accelerated_before_it_is_filled() -> None:
    source = torch.nn.ModuleDict({"a": torch.nn.GRU(I, H), "b": torch.nn.LSTMCell(I, H)})
    with torch.device("meta"):
        model = torch.nn.ModuleDict({"a": torch.nn.GRU(I, H), "b": torch.nn.LSTMCell(I, H)})
    assert set(ft.accelerate(model).swapped) == {"a", "b"}
    model.load_state_dict(source.state_dict(), assign=True)
    x = torch.randn(T, N, I)
    for key, given in (("a", x), ("b", x[0])):
        for actual, expected in zip(
            tensors(model[key](given)), tensors(source[key](given)), strict=True
        ):
            torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("name", [*SEQUENCES, *CELLS])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_numbers_without_parameters_are_an_error(name: str, precision: str) -> None:
    _, ours = pair_on("meta", name, {})
    ours.precision = precision
    told = rf"{name}: a parameter is on device meta.*to_empty\(device=\"cpu\"\)"
    with pytest.raises(RuntimeError, match=told):
        ours(input_of(name, {}))
