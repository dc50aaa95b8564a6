"""What is held from forward to backward: changed in place, taken by hooks, moved, freed."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from dropin import CELLS, F64, SEQUENCES, assert_close, fresh, ft, pair, tensors, torch
from torch.utils.checkpoint import checkpoint

T, N, I, H = 5, 2, 3, 4
ALL = (*SEQUENCES, *CELLS)
every = pytest.mark.parametrize("name", ALL)
CHANGED = "modified (by an )?inplace"


def draw(*shape: int, seed: int = 0) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def arguments(name: str, steps: int = T) -> tuple[Any, tuple[Any, ...]]:
    """An input, and the states."""
    rows = (N,) if name in CELLS else (1, N)
    x = draw(N, I) if name in CELLS else draw(steps, N, I)
    states = 2 if "LSTM" in name else 1
    return x, tuple(draw(*rows, H, seed=k + 1) for k in range(states))


def call(module: Any, x: Any, states: tuple[Any, ...]) -> list[Any]:
    return list(tensors(module(x, states if len(states) > 1 else states[0])))


class Trial:
    """One call and backward pass with one tensor changed in place in between."""

    def __init__(self, module: Any, name: str, steps: int, leaves: str, train: bool) -> None:
        x, states = arguments(name, steps)
        self.x = x.requires_grad_("x" in leaves)
        self.states = tuple(s.requires_grad_("h" in leaves) for s in states)
        module.requires_grad_(train)
        self.weights = dict(module.named_parameters())
        x, states = self.x * 1, tuple(s * 1 for s in self.states)  # that may be changed in place
        self.outputs = call(module, x, states)
        self.tensors = {"x": x, **{f"state{k}": s for k, s in enumerate(states)}}
        self.tensors |= {f"output{k}": o for k, o in enumerate(self.outputs)} | self.weights

    def change(self, key: str, in_place: bool = True) -> None:
        if not in_place:  # what the change of an output means
            self.outputs = [2 * o if key == f"output{k}" else o for k, o in enumerate(self.outputs)]
            return
        with torch.set_grad_enabled(key not in self.weights):
            self.tensors[key].mul_(2)

    def gradients(self) -> list[Any] | None:
        """None if torch refuses."""
        total = sum((k + 2) * o.sum() for k, o in enumerate(self.outputs))
        leaves = (self.x, *self.states, *self.weights.values())
        leaves = [t for t in leaves if t.requires_grad]
        try:
            return list(torch.autograd.grad(total, leaves, allow_unused=True))
        except RuntimeError as error:
            if re.search(CHANGED, str(error)):
                return None
            raise


@pytest.mark.parametrize(("name", "steps"), [*product(SEQUENCES, (1, T)), *product(CELLS, (1,))])
def test_changed_in_place(name: str, steps: int) -> None:
    """Where torch goes on we do, with its gradients; where it refuses, we refuse or are right.

    Right although torch refuses are we for what the kernels keep copies of: a cell's outputs and
    an LSTM's c. A GRU whose weights want no gradients refuses where torch goes on: for h.
    """
    kinds = set()
    for leaves, train in product(("xh", "x", "h", ""), (True, False)):
        if not (leaves or train):
            continue
        for key in Trial(ft.__dict__[name](I, H, dtype=F64), name, steps, leaves, train).tensors:
            theirs, ours = pair(name, I, H, dtype=F64)
            right = Trial(ours, name, steps, leaves, train)
            right.change(key, in_place=False)
            both = [Trial(module, name, steps, leaves, train) for module in (ours, theirs)]
            for trial in both:
                trial.change(key)
            found, expected = (trial.gradients() for trial in both)
            kinds.add((found is None, expected is None))
            if found is None:
                assert expected is None or ("GRU" in name and key == "state0" and not train)
                continue
            if expected is None:
                assert key.startswith("output") or key == "state1"
                expected = right.gradients()
            for actual, value in zip(found, expected, strict=True):
                assert_close(actual, value, 1e-10, f"{key} {leaves} {train}")
    assert {(False, False), (True, True)} <= kinds


@every
def test_changed_before_a_second_backward_pass(name: str) -> None:
    """The graph is retained, so forward runs again: a bias that changed has to be told of."""
    module = getattr(ft, name)(I, H, dtype=F64)
    y = call(module, *arguments(name))[0].sum()
    y.backward(retain_graph=True)
    bias = next(p for key, p in module.named_parameters() if key.startswith("bias"))
    with torch.no_grad():
        bias.add_(1)
    with pytest.raises(RuntimeError, match=f"{CHANGED}.*the graph was retained"):
        y.backward()


@every
def test_state_overwritten_for_the_next_step(name: str) -> None:
    """An agent's loop: rows of the new state are set to zero for episodes that end."""
    theirs, ours = pair(name, I, H, dtype=F64)
    found = []
    for module in (ours, theirs):
        x, states = arguments(name)
        x.requires_grad_()
        ys = []
        for _ in range(3):
            y, *ends = call(module, x, states)
            states = tuple(ends) if name in SEQUENCES else (y, *ends)
            ys.append(y.clone())
            states = tuple(s.clone() for s in states)
            for s in states:
                s[..., 0, :] = 0
        sum(y.pow(2).sum() for y in ys).backward()
        found.append([x.grad, *(p.grad for p in module.parameters())])
    for k, (actual, expected) in enumerate(zip(*found, strict=True)):
        assert_close(actual, expected, 1e-10, str(k))


def stack(name: str, where: Any) -> Any:
    """Eight modules one upon the other, as one function of x."""
    torch.manual_seed(0)
    modules = torch.nn.ModuleList([getattr(where, name)(H, H, dtype=F64) for _ in range(8)])

    def run(x: Any) -> Any:
        for module in modules:
            x = next(tensors(module(x)))
        return x

    return modules, run


def gradients(modules: Any, x: Any, y: Any) -> list[Any]:
    y.square().sum().backward()
    return [x.grad, *(p.grad for p in modules.parameters())]


def kept(node: Any) -> list[Any]:
    """What our nodes of a graph keep outside of torch's saved tensors."""
    found, nodes, seen = [], [node], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "held"):
            found += [node.held.kept, *node.held.others]
        nodes += [n for n, _ in node.next_functions]
    return [k for k in found if k is not None]


@every
def test_hooks_take_everything(name: str) -> None:
    """On hooks' word that they hold it, nothing else does: neither kernels' arrays nor tensors."""
    modules, run = stack(name, ft)
    rows = (N, H) if name in CELLS else (T, N, H)
    expected_x = draw(*rows).requires_grad_()
    y = run(expected_x)
    assert len(kept(y.grad_fn)) >= 8  # what the assertion below looks for
    expected = gradients(modules, expected_x, y)
    modules.zero_grad()
    packs: list[Any] = []

    def pack(t: Any) -> int:
        packs.append(t.detach().clone())
        return len(packs) - 1

    x = draw(*rows).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda k: packs[k]):
        y = run(x)
    assert len(packs) >= 8
    assert not kept(y.grad_fn)
    for k, (actual, value) in enumerate(zip(gradients(modules, x, y), expected, strict=True)):
        assert_close(actual, value, 1e-12, str(k))


@pytest.mark.parametrize("where", ["checkpoint", "cpu"])
@every
def test_checkpoint_and_save_on_cpu(name: str, where: str) -> None:
    found = []
    for source in (ft, torch.nn):
        modules, run = stack(name, source)
        x = draw(*((N, H) if name in CELLS else (T, N, H))).requires_grad_()
        if where == "cpu":
            with torch.autograd.graph.save_on_cpu():
                y = run(x)
        else:
            y = checkpoint(run, x, use_reentrant=False)
        found.append(gradients(modules, x, y))
    for k, (actual, expected) in enumerate(zip(*found, strict=True)):
        assert_close(actual, expected, 1e-10, str(k))


@pytest.mark.parametrize("name", CELLS)
def test_memory_freed_and_brought_back(name: str) -> None:
    """As one does who shards weights: freed after forward, elsewhere for backward."""
    module = getattr(ft, name)(I, H, dtype=F64)
    x, states = arguments(name)
    expected = torch.autograd.grad(call(module, fresh(x), states)[0].sum(), module.parameters())
    y = call(module, x.requires_grad_(), states)[0].sum()
    weights = list(module.parameters())
    values, others = [w.detach().clone() for w in weights], []
    for w in weights:
        w.untyped_storage().resize_(0)
        others.append(torch.full((4 * H, H), 7.0, dtype=F64))  # where the weights were
    for w, v in zip(weights, values, strict=True):
        w.untyped_storage().resize_(v.nbytes)
        with torch.no_grad(), torch.autograd._unsafe_preserve_version_counter(w):
            w.copy_(v)
    for actual, value in zip(torch.autograd.grad(y, weights), expected, strict=True):
        assert_close(actual, value, 1e-12, "weight")


def freed(t: Any) -> Any:
    t.untyped_storage().resize_(0)
    return t


@pytest.mark.parametrize("name", SEQUENCES)
def test_freed_memory_is_an_error(name: str) -> None:
    told = "storage was freed|out of bounds for storage of size 0"
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            x, states = arguments(name)
            with pytest.raises(RuntimeError, match=told):
                call(getattr(ft, name)(I, H, dtype=F64), freed(x), states)
            whole = draw(3, *x.shape)
            part = whole[2]
            freed(whole)
            with pytest.raises(RuntimeError, match=told):
                call(getattr(ft, name)(I, H, dtype=F64), part, states)
            x, states = arguments(name)
            freed(states[-1])
            with pytest.raises(RuntimeError, match=told):
                call(getattr(ft, name)(I, H, dtype=F64), x, states)
            module = getattr(ft, name)(I, H, dtype=F64)
            for p in module.parameters():
                p.data = p.data.clone()
            freed(next(module.parameters()))
            with pytest.raises(RuntimeError, match=told):
                call(module, *arguments(name))


WAYS: dict[str, Callable[[Any], Any]] = {
    "negated": lambda t: torch.complex(t, -t).conj().imag,
    "zeros": lambda t: torch._efficientzerotensor(t.shape, dtype=t.dtype),
}


@pytest.mark.parametrize("way", WAYS)
@every
def test_values_that_are_not_written(name: str, way: str) -> None:
    """A negation that waits, and zeros without memory: as input, as state and as gradient."""
    layers = (2,) if name in SEQUENCES else ()
    theirs, ours = pair(name, I, H, *layers, dtype=F64)
    found = []
    for module, last in ((ours, lambda t: t), (theirs, torch.clone)):
        x, states = arguments(name)
        if layers:
            states = tuple(torch.cat([s, s]) for s in states)

        def lazy(t: Any, last: Any = last) -> Any:
            return last(WAYS[way](t))

        results = []
        for args in ((lazy(x), states), (x, tuple(lazy(s) for s in states))):
            with torch.no_grad():
                results += call(module, *args)
            ys = call(module, *args)
            grads = [lazy(y.detach()) if k != 1 else y.detach() for k, y in enumerate(ys)]
            results += torch.autograd.grad(ys, list(module.parameters()), grads)
        found.append(results)
    for k, (actual, expected) in enumerate(zip(*found, strict=True)):
        assert_close(actual, expected, 1e-10, str(k))
