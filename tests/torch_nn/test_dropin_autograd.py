"""What torch's autograd asks of an operation, beside right gradients."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from dropin import (
    F64,
    QUIET,
    SEQUENCES,
    assert_alike,
    assert_close,
    ft,
    packed,
    pair,
    tensors,
    torch,
)
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from fastlstm import kernels
from fastlstm.torch.step import compiled_step

T, N, I, H = 6, 3, 4, 5
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),  # torch's own use of it
    pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled"),
]
ALL = (*SEQUENCES, "LSTMCell", "GRUCell", "RNNCell")
every = pytest.mark.parametrize("name", ALL)


def draw(*shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=F64)


def call(module: Any, x: Any) -> Any:
    """The first output, for an input [T,N,I] cut as the module takes it."""
    return next(tensors(module(x if isinstance(module, torch.nn.RNNBase) else x[0])))


@pytest.fixture
def saves(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """The `save` of every forward pass of a kernel."""
    seen: list[bool] = []
    backend = kernels.backend()

    class Watched:
        def forward(self, cell: Any, call: Any) -> Any:
            seen.append(call.save)
            return backend.forward(cell, call)

        def __getattr__(self, name: str) -> Any:
            value = getattr(backend, name)
            return value if name != "TensorStep" else lambda *args: WatchedStep(value(*args))

    class WatchedStep:
        def __init__(self, step: Any) -> None:
            self.step = step

        def __getattr__(self, name: str) -> Any:
            return getattr(self.step, name)

        def __call__(self, *args: Any) -> Any:
            seen.append(False)
            return self.step(*args)

        def save(self, *args: Any) -> Any:
            seen.append(True)
            return self.step.save(*args)

    compiled_step.cache_clear()
    monkeypatch.setattr(kernels, "backend", Watched)
    yield seen
    compiled_step.cache_clear()


@every
def test_nothing_is_kept_without_gradients(name: str, saves: list[bool]) -> None:
    module, x = getattr(ft, name)(I, H, dtype=F64), draw(T, N, I)
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            y = call(module, x)
        assert y.grad_fn is None
        assert not y.requires_grad
    frozen = getattr(ft, name)(I, H, dtype=F64).requires_grad_(False)
    assert not call(frozen, x).requires_grad
    assert saves == [False] * 3
    assert call(module, x).requires_grad
    assert call(frozen, x.requires_grad_()).requires_grad
    assert saves == [False] * 3 + [True] * 2


@every
def test_what_was_kept_goes_with_the_graph(name: str) -> None:
    module, x = getattr(ft, name)(I, H, dtype=F64), draw(T, N, I)
    for backward in (True, False):
        y = call(module, x.clone().requires_grad_())
        node = y.grad_fn
        while not hasattr(node, "held"):
            node = node.next_functions[0][0]
        kept = weakref.ref(getattr(node.held.kept, "y", node.held.kept))
        if backward:
            y.sum().backward()
            assert node.held.kept is None
        del node, y
        gc.collect()
        assert kept() is None


@every
def test_only_what_is_needed(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    for module in (ours, theirs):
        for key, parameter in module.named_parameters():
            parameter.requires_grad_(key.startswith("bias"))
    x = draw(T, N, I)
    for module in (ours, theirs):
        call(module, x).square().sum().backward()
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (p.grad is not None) == key.startswith("bias")
        assert_close(p.grad, q.grad, 1e-10, key)
    assert x.grad is None


def test_only_some_outputs_used() -> None:
    theirs, ours = pair("LSTM", I, H, 2, bidirectional=True, dtype=F64)
    for use in (
        lambda y, h, c: y.sum(),
        lambda y, h, c: h[1].square().sum(),
        lambda y, h, c: c[-1, 0].sum(),
        lambda y, h, c: y[-1].prod() + c.sum(),
        lambda y, h, c: y.transpose(0, 2).sum(0).square().sum(),
    ):
        found = []
        for module in (ours, theirs):
            module.zero_grad()
            x = draw(T, N, I).requires_grad_()
            y, (h, c) = module(x)
            use(y, h, c).backward()
            found.append([x.grad, *(p.grad for p in module.parameters())])
        for k, (actual, expected) in enumerate(zip(*found, strict=True)):
            assert_close(actual, expected, 1e-10, str(k))


@every
def test_backward_twice_through_a_kept_graph(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    found = []
    for module in (ours, theirs):
        x = draw(T, N, I).requires_grad_()
        y = call(module, x)
        y.sum().backward(retain_graph=True)
        first = x.grad.clone()
        y.sum().backward()
        assert torch.equal(x.grad, 2 * first)
        found.append(x.grad)
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            y.sum().backward()
    assert_close(*found, 1e-10, "dx")


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("batch_first", [False, True])
def test_output_changed_in_place(name: str, batch_first: bool) -> None:
    """torch's generic path allows it (its fused LSTM not); so do we, for the price of a rerun."""
    theirs, ours = pair(name, I, H, batch_first=batch_first, dtype=F64)
    found = []
    for module in (ours, theirs):
        x = draw(T, N, I).requires_grad_()
        y, _ = module(x)
        y.mul_(2.0)
        torch.relu_(y)
        y.sum().backward()
        found.append(x.grad)
    assert_close(*found, 1e-10, "dx")


@pytest.mark.parametrize("name", SEQUENCES)
def test_packed_output_changed_in_place(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    for lengths in ([2, 6, 4], [6, 6, 6]):
        found = []
        for module in (ours, theirs):
            x = draw(T, N, I).requires_grad_()
            y, _ = module(packed(x, lengths))
            y.data.mul_(2.0)
            y.data.sum().backward()
            found.append(x.grad)
        assert_close(*found, 1e-10, "dx")


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@every
def test_second_derivatives(name: str, dtype: Any) -> None:
    """A gradient penalty; torch's fused LSTM has none, its generic path in float64 has."""
    theirs, ours = pair(name, I, H, dtype=F64)
    found = []
    for module, kind in ((ours, dtype), (theirs, F64)):
        module.to(kind)
        x = draw(T, N, I).to(kind).requires_grad_()
        (dx,) = torch.autograd.grad(call(module, x).square().sum(), x, create_graph=True)
        dx.square().sum().backward()
        found.append([x.grad.to(F64), *(p.grad.to(F64) for p in module.parameters())])
    for k, (actual, expected) in enumerate(zip(*found, strict=True)):
        assert_close(actual, expected, 1e-10 if dtype is F64 else 1e-4, str(k))
    assert found[1][0].any()


@every
def test_create_graph_that_is_not_used(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    found = []
    for module in (ours, theirs):
        x = draw(T, N, I).requires_grad_()
        found.append(torch.autograd.grad(call(module, x).sum(), x, create_graph=True)[0].detach())
    assert_close(*found, 1e-10, "dx")


@pytest.mark.parametrize("reentrant", [True, False])
@every
def test_checkpoint(name: str, reentrant: bool) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    found = []
    for module in (ours, theirs):
        x = draw(T, N, I).requires_grad_()
        y = checkpoint(lambda a, m=module: call(m, a), x, use_reentrant=reentrant)
        y.square().sum().backward()
        found.append([x.grad, *(p.grad for p in module.parameters())])
    for k, (actual, expected) in enumerate(zip(*found, strict=True)):
        assert_close(actual, expected, 1e-10, str(k))


@every
def test_functional_call_and_transforms(name: str) -> None:
    """torch.func: other weights go through the kernel, transforms through torch's operations."""
    theirs, ours = pair(name, I, H, dtype=F64)
    x = draw(T, N, I)
    weights = {k: 2 * p.detach() for k, p in ours.named_parameters()}

    def loss(module: Any, weights: Any) -> Any:
        value = x if isinstance(module, torch.nn.RNNBase) else x[0]
        return next(tensors(torch.func.functional_call(module, weights, (value,)))).sum()

    assert_close(loss(ours, weights), loss(theirs, weights), 1e-10, "loss")
    mine, expected = (torch.func.grad(lambda w, m=m: loss(m, w))(weights) for m in (ours, theirs))
    for key in weights:
        assert_close(mine[key], expected[key], 1e-10, key)


@every
def test_forward_mode(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    found = []
    for module in (ours, theirs):
        with forward_ad.dual_level(), torch.no_grad():
            y = call(module, forward_ad.make_dual(draw(T, N, I), torch.ones(T, N, I, dtype=F64)))
            found.append(forward_ad.unpack_dual(y).tangent)
    assert found[1].any()
    assert_close(*found, 1e-10, "tangent")


@pytest.mark.parametrize("name", SEQUENCES)
def test_backward_hooks_and_anomaly_mode(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    calls: list[str] = []
    ours.register_full_backward_hook(lambda *_: calls.append("module"))
    next(ours.parameters()).register_hook(lambda g: calls.append("parameter"))
    with torch.autograd.detect_anomaly(check_nan=True):
        assert_alike(ours, theirs, draw(T, N, I))
    assert sorted(calls) == ["module", "parameter"]


def test_gradients_of_expanded_and_strided_dy() -> None:
    """What sum() and slicing send back has strides of 0 and gaps."""
    theirs, ours = pair("GRU", I, H, dtype=F64)
    found = []
    for module in (ours, theirs):
        x = draw(T, N, I).requires_grad_()
        y, h = module(x)
        total = y.sum() + y[..., ::2].sum() + h.expand(4, N, H).sum() + y.mean(dim=0).sum()
        total.backward()
        found.append(x.grad)
    assert_close(*found, 1e-10, "dx")


def test_dx_is_computed_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    backend = kernels.backend()

    class Watched:
        forward, empty = backend.forward, backend.empty

        @staticmethod
        def backward(saved: Any, given: Any) -> Any:
            asked.append(given.dx is not None)
            return backend.backward(saved, given)

    monkeypatch.setattr(kernels, "backend", lambda: Watched)
    module = ft.GRU(I, H, dtype=F64)
    module(draw(T, N, I))[0].sum().backward()
    module(draw(T, N, I).requires_grad_())[0].sum().backward()
    assert asked == [False, True]


@QUIET
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("used", [0, 1, 2])
def test_a_projection_that_nobody_used_has_no_gradient(steps: int, used: int) -> None:
    """Of a single step whose c alone is read, as in torch."""
    found = []
    for module in pair("LSTM", 4, 6, proj_size=2, dtype=F64):
        outputs = list(tensors(module(torch.ones(steps, 3, 4, dtype=F64))))
        outputs[used].sum().backward()
        found.append({name: p.grad for name, p in module.named_parameters()})
    theirs, ours = found
    assert (theirs["weight_hr_l0"] is None) == (steps == 1 and used == 2)
    for name, expected in theirs.items():
        assert_close(ours[name], expected, 1e-10, name)
