"""The short way of a cell takes plain steps only, and gives what the long way gives."""

from __future__ import annotations

from typing import Any

import pytest
from dropin import CELLS, F32, F64, ft, torch

from fastlstm.torch import cells
from fastlstm.torch.step import short_step

I, H = 21, 37
NAMES = {"LSTMCell": "lstm", "GRUCell": "gru", "RNNCell": "rnn_tanh"}
pytestmark = pytest.mark.usefixtures("native", "description")
each_cell = pytest.mark.parametrize("name", CELLS)


def draw(*shape: int, seed: int = 5, dtype: Any = F32) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def short(module: Any, x: Any, hx: Any) -> Any:
    kinds = [NAMES[kind.__name__] for kind in type(module).__mro__ if kind.__name__ in NAMES]
    return short_step(module, kinds[0], x, hx)


def state(name: str, *shape: int, dtype: Any = F32) -> Any:
    h = draw(*shape, seed=6, dtype=dtype)
    return (h, draw(*shape, seed=7, dtype=dtype)) if name == "LSTMCell" else h


@each_cell
@pytest.mark.parametrize("N", [1, 3, 64, 1024])
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_long_way(name: str, N: int, dtype: Any, bias: bool) -> None:
    module = getattr(ft, name)(I, H, bias=bias, dtype=dtype)
    x, hx = draw(N, I, dtype=dtype), state(name, N, H, dtype=dtype)
    with torch.no_grad():
        found = short(module, x, hx)
        assert found is not None
        for a, b in zip(found, cells.run_cell(module, x, hx), strict=True):
            assert torch.equal(a, b)
            assert not a.requires_grad
        for a, b in zip(short(module, x, None), cells.run_cell(module, x, None), strict=True):
            assert torch.equal(a, b)
        result = module(x, hx)
    assert torch.equal(result[0] if isinstance(result, tuple) else result, found[0])


@each_cell
def test_what_is_not_plain_goes_the_long_way(name: str) -> None:
    module, x, hx = getattr(ft, name)(I, H), draw(1, I), state(name, 1, H)

    class Other(torch.Tensor):
        pass

    cases = {
        "no batch axis": (x[0], state(name, H)),
        "no batch axis, no state": (x[0], None),
        "many rows": (x.expand(1025, I).contiguous(), state(name, 1025, H)),
        "not contiguous": (draw(1, 2 * I)[:, ::2], hx),
        "another dtype": (x.double(), hx),
        "another size": (draw(1, I + 1), hx),
        "another batch": (x, state(name, 2, H)),
        "a subclass": (x.as_subclass(Other), hx),
        "negated": (torch._neg_view(x), hx),
        "sparse": (x.to_sparse(), hx),
        "elsewhere": (x.to("meta"), hx),
        "whole numbers": (x.long(), hx),
        "complex": (x.to(torch.complex64), hx),
        "three axes": (x[None], hx),
        "one row many times": (x.expand(3, I), state(name, 3, H)),
        "no rows": (x[:0], state(name, 0, H)),
        "not a tensor": (x.numpy(), hx),
    }
    with torch.no_grad():
        assert short(module, x, hx) is not None
        for what, (inputs, states) in cases.items():
            assert short(module, inputs, states) is None, what
        with torch.autocast("cpu", torch.bfloat16):
            assert short(module, x, hx) is None
        assert short(module.to(torch.bfloat16), x.bfloat16(), hx) is None


@each_cell
def test_weights_may_change_between_steps(name: str) -> None:
    """Nothing of a weight is kept, however it is written to."""
    module, x, hx = getattr(ft, name)(I, H), draw(1, I), state(name, 1, H)
    with torch.no_grad():
        before = short(module, x, hx)[0].clone()
        module.weight_hh.data.mul_(0.5)
        module.weight_ih.numpy()[...] *= 2
        after = short(module, x, hx)[0]
        assert not torch.equal(before, after)
        assert torch.equal(after, cells.run_cell(module, x, hx)[0])


def gradients(module: Any, x: Any, hx: Any, way: Any) -> list[Any]:
    """Of everything that went in, with weights on the new states that differ by element."""
    states = hx if isinstance(hx, tuple) else (hx,)
    leaves = [t.clone().requires_grad_() for t in (x, *states)]
    ends = way(module, leaves[0], tuple(leaves[1:]) if isinstance(hx, tuple) else leaves[1])
    loss = sum((e * torch.linspace(-1, 1, e.numel()).view_as(e)).sum() for e in ends)
    return list(torch.autograd.grad(loss, [*leaves, *module.parameters()]))


@each_cell
@pytest.mark.parametrize("N", [1, 5, 64])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_equal_those_of_the_long_way(name: str, N: int, bias: bool) -> None:
    module = getattr(ft, name)(I, H, bias=bias)
    x, hx = draw(N, I), state(name, N, H)
    found, expected = (gradients(module, x, hx, way) for way in (short, cells.run_cell))
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


@each_cell
def test_many_rows_that_may_be_trained_go_the_long_way(name: str) -> None:
    module, x, hx = getattr(ft, name)(I, H), draw(65, I), state(name, 65, H)
    assert short(module, x, hx) is None
    result = module(x, hx)
    (result[0] if isinstance(result, tuple) else result).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    with torch.no_grad():
        assert short(module, x, hx) is not None


@each_cell
def test_gradients_that_nobody_wants(name: str) -> None:
    module, x, hx = getattr(ft, name)(I, H), draw(2, I), state(name, 2, H)
    module.weight_ih.requires_grad_(False)
    short(module, x, hx)[-1].sum().backward()
    assert module.weight_ih.grad is None
    assert x.grad is None
    assert module.weight_hh.grad.abs().max() > 0
    module.requires_grad_(False)
    assert not short(module, x, hx)[0].requires_grad


@each_cell
def test_parametrized_weights_and_the_order_they_leave_behind(name: str) -> None:
    from torch.nn.utils import parametrizations, parametrize

    module, x, hx = getattr(ft, name)(I, H), draw(2, I), state(name, 2, H)
    for which in ("bias_ih", "weight_hh"):
        parametrizations.weight_norm(module, which, dim=None)
        assert short(module, x, hx) is None
        parametrize.remove_parametrizations(module, which)
    with torch.no_grad():
        module.bias_ih.add_(1)
        assert torch.equal(short(module, x, hx)[0], cells.run_cell(module, x, hx)[0])
