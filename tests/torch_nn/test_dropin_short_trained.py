"""Single steps of a module whose gradients are asked for: those of the long way, and of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dropin import F32, F64, SEQUENCES, assert_close, ft, pair, tensors, torch

from fastlstm.torch.sequence import run_sequence
from fastlstm.torch.step import short_sequence

I, H = 21, 37
pytestmark = [pytest.mark.pairs, pytest.mark.usefixtures("native", "description")]
each_layer = pytest.mark.parametrize("name", SEQUENCES)
each_order = pytest.mark.parametrize("batch_first", [False, True])


def draw(*shape: int, seed: int = 5, dtype: Any = F64) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def inputs(name: str, N: int, batch_first: bool = False, L: int = 1, dtype: Any = F64) -> Any:
    """x and hx, leaves all of them."""
    x = draw(*((N, 1) if batch_first else (1, N)), I, dtype=dtype).requires_grad_()
    h, c = (draw(L, N, H, seed=s, dtype=dtype).requires_grad_() for s in (6, 7))
    return x, (h, c) if name == "LSTM" else h


def weighed(outputs: Any) -> Any:
    """A loss of some outputs whose gradients differ by element."""
    found = list(tensors(outputs))
    return sum(
        (t * torch.linspace(-1, 1, t.numel(), dtype=t.dtype).view_as(t)).sum() for t in found
    )


def gradients(loss: Any, x: Any, hx: Any, module: Any) -> list[Any]:
    leaves = [x, *(() if hx is None else tensors(hx)), *module.parameters()]
    return list(torch.autograd.grad(loss, leaves, allow_unused=True))


PARTS: dict[str, Callable[[Any], Any]] = {
    "all": lambda result: result,
    "output": lambda result: result[0],
    "states": lambda result: result[1],
    "last state": lambda result: list(tensors(result[1]))[-1],
}


@each_layer
@each_order
@pytest.mark.parametrize(("N", "bias", "dtype"), [(1, True, F32), (3, False, F32), (64, True, F64)])
@pytest.mark.parametrize("part", PARTS)
def test_equal_those_of_the_long_way(
    name: str, batch_first: bool, N: int, bias: bool, dtype: Any, part: str
) -> None:
    module = getattr(ft, name)(I, H, bias=bias, batch_first=batch_first, dtype=dtype)
    for given in (True, False):
        x, hx = inputs(name, N, batch_first, dtype=dtype)
        hx = hx if given else None
        short, long = short_sequence(module, x, hx), run_sequence(module, x, hx, None)
        results = []
        for outputs in (short, long):
            found = gradients(weighed(PARTS[part](outputs)), x, hx, module)
            results.append([*tensors(outputs), *found])
        for a, b in zip(*results, strict=True):
            assert (a is None) == (b is None)
            assert a is None or (a.shape == b.shape and torch.equal(a, b))


def compare(
    name: str, use: Callable[[Any, Any, Any], list[Any]], N: int = 3, **options: Any
) -> None:
    """What `use` makes of a module and its inputs: ours beside torch's."""
    theirs, ours = pair(name, I, H, dtype=F64, **options)
    results = []
    for module in (ours, theirs):
        x, hx = inputs(name, N, options.get("batch_first", False), options.get("num_layers", 1))
        results.append([*use(module, x, hx), *(p.grad for p in module.parameters())])
    for k, (actual, expected) in enumerate(zip(*results, strict=True)):
        assert (actual is None) == (expected is None), k
        if actual is not None:
            assert_close(actual, expected, 1e-10, str(k))


each_depth = pytest.mark.parametrize("L", [1, 2, 3])


@each_layer
@each_order
@each_depth
@pytest.mark.parametrize("N", [1, 8, 70])
def test_episodes_that_start_anew(name: str, batch_first: bool, L: int, N: int) -> None:
    """As a policy is trained: a step at a time, the states of some rows zeroed."""

    def use(module: Any, x: Any, hx: Any) -> list[Any]:
        ys, state = [], hx
        for k in range(6):
            goes_on = (draw(1, N, 1, seed=k) < 0.5).to(F64)
            state = tuple(goes_on * s for s in state) if name == "LSTM" else goes_on * state
            y, state = module(x * (k + 1), state)
            ys.append(y)
        (weighed(ys) + weighed(state)).backward()
        return [x.grad, *(s.grad for s in tensors(hx))]

    compare(name, use, N, batch_first=batch_first, num_layers=L)


@each_layer
@each_order
@each_depth
def test_a_graph_that_is_kept_and_gradients_of_gradients(
    name: str, batch_first: bool, L: int
) -> None:
    def use(module: Any, x: Any, hx: Any) -> list[Any]:
        y, state = module(x, hx)
        y, state = module(x, state)
        loss = (y * y).sum() + weighed(state)
        loss.backward(retain_graph=True)
        (again,) = torch.autograd.grad(loss, [module.weight_hh_l0], retain_graph=True)
        (dx,) = torch.autograd.grad(loss, [x], create_graph=True)
        (dx * dx).sum().backward()
        return [again, dx.detach(), x.grad]

    compare(name, use, batch_first=batch_first, num_layers=L)


@each_layer
@each_depth
def test_gradients_that_nobody_wants(name: str, L: int) -> None:
    def use(module: Any, x: Any, hx: Any) -> list[Any]:
        module.weight_ih_l0.requires_grad_(False)
        x.requires_grad_(False)
        y, state = module(x, hx)
        weighed(module(x, state)[0]).backward()
        return [x.grad, *(s.grad for s in tensors(hx))]

    compare(name, use, num_layers=L)


@each_layer
@each_depth
def test_an_input_that_changed_is_an_error(name: str, L: int) -> None:
    module = getattr(ft, name)(I, H, L, dtype=F64)
    x, hx = inputs(name, 2, L=L)
    given = x * 1
    y, _ = module(given, hx)
    given.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@each_layer
@each_depth
def test_outputs_that_are_written_to(name: str, L: int) -> None:
    def use(module: Any, x: Any, hx: Any) -> list[Any]:
        y, state = module(x, hx)
        h = next(tensors(state))
        y.mul_(2)
        h.mul_(3)
        (weighed(y) + weighed(state)).backward()
        return [x.grad]

    compare(name, use, num_layers=L)
