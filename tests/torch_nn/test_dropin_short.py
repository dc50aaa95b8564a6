"""The short way of a layer: one step of few rows, and what the long way gives for it."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from dropin import F32, F64, SEQUENCES, ft, torch

from fastlstm.torch.sequence import run_sequence
from fastlstm.torch.step import short_sequence

I, H = 21, 37
pytestmark = [pytest.mark.pairs, pytest.mark.usefixtures("native", "description")]
each_layer = pytest.mark.parametrize("name", SEQUENCES)


def draw(*shape: int, seed: int = 5, dtype: Any = F32) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def state(name: str, *shape: int, dtype: Any = F32) -> Any:
    h = draw(*shape, seed=6, dtype=dtype)
    return (h, draw(*shape, seed=7, dtype=dtype)) if name == "LSTM" else h


def flat(result: Any) -> list[Any]:
    y, ends = result
    return [y, *ends] if isinstance(ends, tuple) else [y, ends]


@each_layer
@pytest.mark.parametrize(
    ("N", "L"), [(1, 1), (3, 1), (64, 1), (1024, 1), (1, 2), (16, 3), (500, 2), (2, 8)]
)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("dtype", "bias"), [(F32, True), (F64, False)])
def test_a_step_equals_the_long_way(
    name: str, N: int, L: int, batch_first: bool, dtype: Any, bias: bool
) -> None:
    module = getattr(ft, name)(I, H, L, bias=bias, batch_first=batch_first, dtype=dtype)
    x = draw(*((N, 1) if batch_first else (1, N)), I, dtype=dtype)
    for hx in (None, state(name, L, N, H, dtype=dtype)):
        with torch.no_grad():
            found, expected = short_sequence(module, x, hx), run_sequence(module, x, hx, None)
            assert found is not None
            results = [flat(found), flat(module(x, hx))]
        for result in results:
            for a, b in zip(result, flat(expected), strict=True):
                assert a.shape == b.shape
                assert torch.equal(a, b)
                assert not a.requires_grad


@each_layer
@pytest.mark.parametrize("L", [1, 2])
def test_an_output_that_is_written_to_leaves_the_state_alone(name: str, L: int) -> None:
    module, x = getattr(ft, name)(I, H, L), draw(1, 2, I)
    with torch.no_grad():
        y, *ends = flat(module(x))
    assert torch.equal(y, ends[0][L - 1 :])
    y.zero_()
    assert ends[0].abs().min() > 0


@each_layer
def test_outputs_are_tensors_as_any_other(name: str) -> None:
    """Their memory is not torch's own: it lives as long as they do."""
    module, x = getattr(ft, name)(I, H), draw(1, 2, I)
    with torch.inference_mode():
        assert all(t.is_inference() for t in flat(module(x)))
    with torch.no_grad():
        outputs = flat(module(x))
    assert not any(t.is_inference() or t._version or t._base is not None for t in outputs)
    expected = [t.clone() for t in outputs]
    del module
    saved = io.BytesIO()
    torch.save(outputs, saved)
    saved.seek(0)
    for same in (outputs, copy.deepcopy(outputs), torch.load(saved)):
        assert all(map(torch.equal, same, expected))
    y = outputs[0].add_(1)
    y.requires_grad_().square().sum().backward()
    assert torch.equal(y.grad, 2 * (expected[0] + 1))


@each_layer
@torch.no_grad()
def test_other_steps_go_the_long_way(name: str) -> None:
    module, x, hx = getattr(ft, name)(I, H), draw(1, 2, I), state(name, 1, 2, H)
    assert short_sequence(module, x, hx) is not None
    cases: dict[str, tuple[Any, Any]] = {
        "several steps": (draw(3, 2, I), hx),
        "several steps of one row": (draw(2, 1, I), state(name, 1, 1, H)),
        "no batch axis": (draw(1, I), state(name, 1, H)),
        "many rows": (draw(1, 1025, I), state(name, 1, 1025, H)),
        "not contiguous": (draw(1, 2, 2 * I)[..., ::2], hx),
        "another dtype": (x.double(), hx),
        "another size": (draw(1, 2, I + 1), hx),
        "states of two layers": (x, state(name, 2, 2, H)),
        "states by rows": (x, state(name, 2, 1, H)),
        "a state without its axis": (x, state(name, 2, H)),
    }
    for what, (x, hx) in cases.items():
        assert short_sequence(module, x, hx) is None, what
        try:
            expected = run_sequence(module, x, hx, None)
        except (TypeError, ValueError, RuntimeError) as error:
            with pytest.raises(type(error)):
                module(x, hx)
        else:
            assert all(map(torch.equal, flat(module(x, hx)), flat(expected))), what
    assert module(draw(1, 0, I))[0].shape == (1, 0, H)


@each_layer
@torch.no_grad()
def test_what_does_not_fit_several_layers(name: str) -> None:
    """The states of one layer alone, and a layer that is not as wide as the one before it."""
    module, x = getattr(ft, name)(I, H, 3), draw(1, 2, I)
    assert short_sequence(module, x, state(name, 3, 2, H)) is not None
    for hx in (state(name, 1, 2, H), state(name, 2, 2, H), state(name, 1, 6, H)):
        assert short_sequence(module, x, hx) is None
        with pytest.raises(RuntimeError, match="hidden"):
            module(x, hx)
    narrow = getattr(ft, name)(I, H - 1, 3)
    for which in ("weight_ih_l2", "weight_hh_l2", "bias_ih_l2", "bias_hh_l2"):
        other = getattr(ft, name)(I, H, 3)
        setattr(other, which, getattr(narrow, which))
        assert short_sequence(other, x, None) is None
    other = getattr(ft, name)(I, H, 3)
    other.weight_hh_l1.data = other.weight_hh_l1.data.double()
    assert short_sequence(other, x, None) is None


@each_layer
@torch.no_grad()
def test_dropout_between_layers_that_does_nothing(name: str) -> None:
    module, x = getattr(ft, name)(I, H, 2, dropout=0.5).eval(), draw(1, 2, I)
    found, expected = short_sequence(module, x, None), run_sequence(module, x, None, None)
    assert all(map(torch.equal, flat(found), flat(expected)))


@each_layer
def test_one_row_of_several_steps_is_not_several_rows(name: str) -> None:
    """Of a module that has the batch first: the states given fit the other reading alone."""
    module = getattr(ft, name)(I, H, batch_first=True)
    with torch.no_grad(), pytest.raises(RuntimeError, match="hidden"):
        module(draw(1, 3, I), state(name, 1, 3, H))


@each_layer
@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 9},
        {"num_layers": 2, "dropout": 0.5},
        {"bidirectional": True},
        {"precision": "bfloat16"},
        {"proj_size": 5},
    ],
    ids=str,
)
def test_other_modules_go_the_long_way(name: str, options: dict[str, Any]) -> None:
    if name != "LSTM" and "proj_size" in options:
        pytest.skip("only an LSTM has a projection")
    module = getattr(ft, name)(I, H, **options)
    with torch.no_grad():
        assert short_sequence(module, draw(1, 2, I), None) is None
        assert module(draw(1, 2, I))[0].shape[:2] == (1, 2)


@each_layer
@pytest.mark.parametrize("N", [2, 65])
def test_a_step_that_may_be_trained(name: str, N: int) -> None:
    """Of many rows it goes the long way."""
    module, x = getattr(ft, name)(I, H), draw(1, N, I)
    found = short_sequence(module, x, None)
    assert (found is None) == (N > 64)
    module(x)[0].sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    module.requires_grad_(False)
    found = short_sequence(module, x, None)
    assert not any(t.requires_grad for t in flat(found))
    found = short_sequence(module, x.requires_grad_(), None)
    assert (found is None) == (N > 64)


@each_layer
def test_weights_that_changed_are_read_anew(name: str) -> None:
    module, x = getattr(ft, name)(I, H), draw(1, 2, I)
    with torch.no_grad():
        before = module(x)[0]
        module.weight_ih_l0.mul_(2)
        after = module(x)[0]
        assert not torch.equal(before, after)
        assert torch.equal(after, run_sequence(module, x, None, None)[0])


@each_layer
@pytest.mark.parametrize("grad", [False, True])
def test_states_that_are_no_tensors_are_named(name: str, grad: bool) -> None:
    module, x = getattr(ft, name)(I, H), draw(1, 2, I)
    for wrong in (1.5, object(), "h", [1]):
        hx = (wrong, wrong) if name == "LSTM" else wrong
        with torch.set_grad_enabled(grad), pytest.raises((TypeError, RuntimeError), match="hx"):
            module(x, hx)
