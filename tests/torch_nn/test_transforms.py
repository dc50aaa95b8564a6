"""torch.func through functional_call: other weights, gradients of each sample, ensembles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dropin import CELLS, F64, QUIET, SEQUENCES, assert_close, pair, tensors

import fastlstm.torch as ft

torch = pytest.importorskip("torch")
functional_call, grad, vmap = torch.func.functional_call, torch.func.grad, torch.func.vmap
I, H, T, N, M = 3, 4, 3, 2, 3
pytestmark = [
    QUIET,
    # torch's own, each once a process
    pytest.mark.filterwarnings("ignore:There is a performance drop"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
]
OPTIONS: dict[str, Any] = {
    "plain": {},
    "no bias": {"bias": False},
    "deep": {"num_layers": 2, "bidirectional": True, "batch_first": True},
}
ALL = [
    *((n, o) for n in SEQUENCES for o in OPTIONS.values()),
    ("LSTM", {"proj_size": 2}),
    *((n, {"bias": b}) for n in CELLS for b in (True, False)),
]
Function = Callable[..., Any]


def draw(*shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=F64)


def compiled(function: Function) -> Function:
    torch._dynamo.reset()
    return torch.compile(function, backend="aot_eager", fullgraph=True)  # type: ignore[no-any-return]


def eager(function: Function) -> Function:
    return function


ways = pytest.mark.parametrize("way", [eager, pytest.param(compiled, marks=pytest.mark.slow)])
every = pytest.mark.parametrize(
    ("name", "options", "way"),
    [
        *((*case, eager) for case in ALL),
        pytest.param("LSTM", OPTIONS["deep"], compiled, marks=pytest.mark.slow),
        pytest.param("GRUCell", {}, compiled, marks=pytest.mark.slow),
        ("GRU", {}, compiled),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)


def weights_of(module: Any, scale: float = 1.0) -> dict[str, Any]:
    return {name: scale * p.detach() for name, p in module.named_parameters()}


def loss(module: Any) -> Function:
    def of(weights: Any, *args: Any) -> Any:
        return sum(y.square().sum() for y in tensors(functional_call(module, weights, args)))

    return of


def shape_of(name: str) -> tuple[int, ...]:
    return (N, I) if name in CELLS else (T, N, I)


def assert_same(found: Any, expected: Any) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert_close(found[key], value, 1e-10, key)


def stacked(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: torch.stack([p[key] for p in parts]) for key in parts[0]}


@every
def test_gradients_of_weights(name: str, options: dict[str, Any], way: Function) -> None:
    theirs, ours = pair(name, I, H, dtype=F64, **options)
    x, call = draw(*shape_of(name)), way(grad(loss(ours)))
    for scale in (1.0, 2.0):
        expected = grad(loss(theirs))(weights_of(theirs, scale), x)
        assert_same(call(weights_of(ours, scale), x), expected)


@ways
@pytest.mark.parametrize("name", ["LSTM", "GRUCell"])
def test_jacobians_and_products_with_the_hessian(name: str, way: Function) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    x, weights = draw(*shape_of(name)), weights_of(ours)

    def product(module: Any) -> Function:
        gradient = grad(loss(module))
        return lambda w, v: torch.func.jvp(lambda u: gradient(u, x), (w,), (v,))[1]

    def jacobian(module: Any) -> Function:
        return torch.func.jacrev(lambda w: next(tensors(functional_call(module, w, (x,)))))  # type: ignore[no-any-return]

    for make, args in ((product, (weights, weights_of(ours, 0.5))), (jacobian, (weights,))):
        assert_same(way(make(ours))(*args), make(theirs)(*args))


@every
def test_gradients_of_each_sample(name: str, options: dict[str, Any], way: Function) -> None:
    """torch's own module has none: it adds in place to products that all samples share."""
    theirs, ours = pair(name, I, H, dtype=F64, **options)
    weights, xs = weights_of(ours), draw(M, *shape_of(name))
    found = way(vmap(grad(loss(ours)), in_dims=(None, 0)))(weights, xs)
    assert_same(found, stacked([grad(loss(theirs))(weights, x) for x in xs]))


@pytest.mark.parametrize("name", [*SEQUENCES, *CELLS])
def test_gradients_of_samples_without_a_batch_axis(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    weights, xs = weights_of(ours), draw(M, *((I,) if name in CELLS else (T, I)))
    found = vmap(grad(loss(ours)), in_dims=(None, 0))(weights, xs)
    assert_same(found, stacked([grad(loss(theirs))(weights, x) for x in xs]))


@pytest.mark.parametrize("many", ["x", "h", "weight_ih", "weight_hh"])
@pytest.mark.parametrize("name", [*SEQUENCES, *CELLS])
def test_whatever_vmap_is_over(name: str, many: str) -> None:
    """The states given, or one matrix alone; the others are of all calls."""
    theirs, ours = pair(name, I, H, dtype=F64)
    h = draw(*((N, H) if name in CELLS else (1, N, H)))
    given = {"x": draw(*shape_of(name)), "h": h, **weights_of(ours)}
    key = next(k for k in given if k.startswith(many))
    dims = {k: 0 if k == key else None for k in given}

    def of(module: Any) -> Function:
        def total(args: Any) -> Any:
            h = args["h"]
            hx = (h, 2 * h) if "LSTM" in name else h
            weights = {k: v for k, v in args.items() if k not in ("x", "h")}
            return loss(module)(weights, args["x"], hx)

        return grad(total)  # type: ignore[no-any-return]

    parts = [given | {key: k * given[key]} for k in (1, 2, 3)]
    many_given = given | {key: torch.stack([p[key] for p in parts])}
    found = vmap(of(ours), in_dims=(dims,))(many_given)
    assert_same(found, stacked([of(theirs)(part) for part in parts]))


@ways
@pytest.mark.parametrize("name", ["LSTM", "RNNCell"])
def test_ensembles(name: str, way: Function) -> None:
    pairs = [pair(name, I, H, dtype=F64, seed=seed) for seed in range(M)]
    weights, _ = torch.func.stack_module_state([ours for _, ours in pairs])
    weights, x = {k: w.detach() for k, w in weights.items()}, draw(*shape_of(name))
    one = pairs[0][1]
    found = way(vmap(grad(loss(one)), in_dims=(0, None)))(weights, x)
    each = [grad(loss(theirs))(weights_of(theirs), x) for theirs, _ in pairs]
    assert_same(found, stacked(each))


def test_nothing_of_a_transform_is_left_in_the_module() -> None:
    module, x = ft.LSTM(I, H, dtype=F64), draw(T, N, I)
    grad(loss(module))(weights_of(module, 2.0), x)
    parameters = list(module.parameters())
    assert all(w is p for w, p in zip(module._flat_weights, parameters, strict=True))
    assert all(ref() is p for ref, p in zip(module._flat_weight_refs, parameters, strict=True))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("hx", ["words", (1, 2, 3), []])
def test_states_that_are_none_are_refused_as_ever(name: str, hx: Any) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    errors = []
    for module in (theirs, ours):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            vmap(grad(lambda x, m=module: next(tensors(m(x, hx))).sum()))(draw(M, *shape_of(name)))
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]
