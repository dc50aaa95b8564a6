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


WRONG: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (ValueError, r"lengths has shape \(2,\), expected \(3,\)", {"lengths": [1, 2]}),
    (ValueError, r"lengths has shape \(2,\)", {"lengths": torch.ones(2).long().to("meta")}),
    (TypeError, "lengths has dtype <U1, expected integers", {"lengths": "a"}),
    (TypeError, "lengths has dtype float32", {"lengths": torch.ones(3, device="meta")}),
    (ValueError, "reset has shape .*, expected", {"reset": torch.zeros(2)}),
    (ValueError, "reset has shape .*, expected", {"reset": torch.zeros(2, device="meta")}),
    (TypeError, "reset is a str, expected a tensor", {"reset": "a"}),
]


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize(("error", "told", "given"), WRONG, ids=[told for _, told, _ in WRONG])
def test_what_torch_has_not_is_checked(
    name: str, error: type[Exception], told: str, given: dict[str, Any]
) -> None:
    """For shapes alone, and for a batch of no rows, which torch's module answers too."""
    _, ours = pair_on("meta", name, {})
    with pytest.raises(error, match=told):
        ours(torch.randn(T, N, I, device="meta"), **given)
    if not any(torch.is_tensor(value) and value.is_meta for value in given.values()):
        with pytest.raises(error, match=told.split(", expected")[0]):
            getattr(ft, name)(I, H)(torch.randn(T, 0, I), **given)


@pytest.mark.parametrize("name", SEQUENCES)
def test_values_that_are_there_are_checked(name: str) -> None:
    _, ours = pair_on("meta", name, {"batch_first": True})
    x = torch.randn(N, T, I, device="meta")
    with pytest.raises(ValueError, match=r"lengths\[1\] is 6, expected 0 to 5"):
        ours(x, lengths=[1, 6, 0])
    with pytest.raises(ValueError, match=r"reset\[0, 0\] is 2.0, expected 0 or 1"):
        ours(x, reset=torch.full((N, T), 2.0), reset_at="after")
    rows = packed(torch.randn(T, N, I), [2, 5, 3])
    with pytest.raises(ValueError, match="lengths is given, expected None with a PackedSequence"):
        ours(rows._replace(data=rows.data.to("meta")), lengths=[1, 2, 3])


@pytest.mark.parametrize("name", CELLS)
def test_resets_of_cells_are_checked(name: str) -> None:
    _, ours = pair_on("meta", name, {})
    with pytest.raises(ValueError, match=rf"{name}: reset has shape \(2,\), expected \(3,\)"):
        ours(torch.randn(N, I, device="meta"), reset=torch.zeros(2))


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
