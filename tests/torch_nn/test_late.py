"""Loops of cells whose weights' gradients are made together: right however a graph is used."""

from __future__ import annotations

import copy
import gc
import io
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from dropin import CELLS, F64, assert_close, ft, pair, tensors, torch
from together import at_once
from torch.utils.checkpoint import checkpoint

from fastlstm.torch import late
from fastlstm.torch.step import compiled_step

N, I, H = 3, 5, 7
pytestmark = pytest.mark.usefixtures("native", "description")
each_cell = pytest.mark.parametrize("name", CELLS)


def draw(*shape: int, seed: int = 0) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def start(name: str, rows: int = N) -> Any:
    h = draw(rows, H, seed=8)
    return (h, draw(rows, H, seed=9)) if name == "LSTMCell" else h


def loop(cell: Any, xs: Any, hx: Any) -> list[Any]:
    """h after each step."""
    ys = []
    for x in xs:
        hx = cell(x, hx)
        ys.append(hx[0] if isinstance(hx, tuple) else hx)
    return ys


def loss(ys: list[Any]) -> Any:
    return sum((k % 7 + 1) * (y * y).sum() for k, y in enumerate(ys))


def anchors(node: Any) -> int:
    """How many there are in a graph."""
    found, nodes, seen = 0, [node], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found += isinstance(node, late.Anchor._backward_cls)
        nodes += [n for n, _ in node.next_functions]
    return found


def compare(name: str, use: Callable[[Any, Any, Any], Any], steps: int = 6, rows: int = N) -> None:
    """What `use` makes of a cell, its inputs and states: ours beside torch's."""
    theirs, ours = pair(name, I, H, dtype=F64)
    results = []
    for cell in (ours, theirs):
        xs, hx = draw(steps, rows, I).requires_grad_(), start(name, rows)
        results.append([*use(cell, xs, hx), *(p.grad for p in cell.parameters())])
    for k, (actual, expected) in enumerate(zip(*results, strict=True)):
        assert (actual is None) == (expected is None), k
        if actual is not None:
            assert_close(actual, expected, 1e-10, str(k))


@each_cell
@pytest.mark.parametrize(("steps", "rows"), [(2, 1), (9, 3), (70, 5), (7, 64)])
def test_through_time(name: str, steps: int, rows: int) -> None:
    """Fewer rows than are gathered at a time, and more."""

    def use(cell: Any, xs: Any, hx: Any) -> Any:
        total = loss(loop(cell, xs, hx))
        if isinstance(cell, (ft.LSTMCell, ft.GRUCell, ft.RNNCell)):
            assert anchors(total.grad_fn) == 1
        total.backward()
        return [xs.grad]

    compare(name, use, steps, rows)


@each_cell
def test_gradients_add_up_over_backward_passes(name: str) -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        for _ in range(2):
            loss(loop(cell, xs, hx)).backward()
        return [xs.grad]

    compare(name, use)


@each_cell
def test_a_graph_that_is_kept_serves_again(name: str) -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        ys = loop(cell, xs, hx)
        loss(ys).backward(retain_graph=True)
        loss(ys[:3]).backward(retain_graph=True)  # a part of it
        loss(ys[2:4]).backward()
        with pytest.raises(RuntimeError, match="second time"):
            loss(ys).backward()
        return [xs.grad]

    compare(name, use)


@each_cell
def test_gradients_of_some_inputs(name: str) -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        total = loss(loop(cell, xs, hx))
        found = []
        for into in ([xs], [cell.weight_hh], [cell.bias_ih, xs], [cell.weight_ih]):
            found += torch.autograd.grad(total, into, retain_graph=True)
        total.backward(inputs=[cell.bias_hh], retain_graph=True)
        total.backward(inputs=[xs])
        return [*found, xs.grad]

    compare(name, use)


@each_cell
def test_weights_that_have_another_use(name: str) -> None:
    """Tied to another layer, and read by a second loop with its own states."""

    def use(cell: Any, xs: Any, hx: Any) -> Any:
        ys, others = loop(cell, xs, hx), loop(cell, xs.flip(0) * 2, hx)
        tied = sum(
            (y @ cell.weight_ih[:H].detach()).sum() + (y @ cell.weight_ih[:H]).sum() for y in ys
        )
        (loss(ys) + tied + loss(others) + cell.weight_hh.square().sum()).backward()
        return [xs.grad]

    compare(name, use)


@each_cell
def test_hooks_on_weights_see_the_sum_once(name: str) -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        seen: list[Any] = []
        cell.weight_hh.register_hook(lambda g: seen.append(g.clone()) or 2 * g)
        cell.weight_ih.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
        loss(loop(cell, xs, hx)).backward()
        assert len(seen) == 2
        return [xs.grad, *sorted(seen, key=lambda t: t.shape[1])]

    compare(name, use)


@each_cell
@pytest.mark.parametrize("frozen", ["weight_hh", "weight_ih", "bias_ih"])
def test_weights_that_want_no_gradient(name: str, frozen: str) -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        getattr(cell, frozen).requires_grad_(False)
        loss(loop(cell, xs, hx)).backward()
        getattr(cell, frozen).requires_grad_(True)
        loss(loop(cell, xs, hx)).backward()
        return [xs.grad]

    compare(name, use)


@each_cell
@pytest.mark.parametrize("frozen", ["weight_hh", "bias_ih"])
def test_weights_frozen_before_a_recorded_pass(name: str, frozen: str) -> None:
    """The pass is one in torch's operations, and asks for the gradients of forward's time."""

    def use(cell: Any, xs: Any, hx: Any) -> Any:
        total = loss(loop(cell, xs, hx))
        getattr(cell, frozen).requires_grad_(False)
        found = torch.autograd.grad(total, xs, create_graph=True, retain_graph=True)
        total.backward()
        return [*found, xs.grad]

    compare(name, use)


@each_cell
def test_second_derivatives(name: str) -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        into = [xs, *cell.parameters()]
        first = torch.autograd.grad(loss(loop(cell, xs, hx)), into, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), into)
        return [*first, *second]

    compare(name, use, 3)


@each_cell
def test_many_gradients_at_once(name: str) -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        y = loop(cell, xs, hx)[-1]
        many = torch.stack([torch.ones_like(y), 3 * y.detach()])
        into = [xs, *cell.parameters()]
        return torch.autograd.grad(y, into, many, is_grads_batched=True)

    compare(name, use, 3)


@each_cell
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_of_parts_of_a_loop(name: str, reentrant: bool) -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        def part(xs: Any, *states: Any) -> Any:
            hx = states if name == "LSTMCell" else states[0]
            for x in xs:
                hx = cell(x, hx)
            return tuple(tensors(hx))

        states = tuple(tensors(hx))
        states = tuple(tensors(cell(xs[0], hx)))
        states = checkpoint(part, xs[1:4], *states, use_reentrant=reentrant)
        states = part(xs[4:], *states)
        loss([states[0]]).backward()
        return [xs.grad]

    compare(name, use)


def test_states_that_are_cut_from_the_graph() -> None:
    """Truncated backpropagation, a pass for each window."""

    def use(cell: Any, xs: Any, hx: Any) -> Any:
        for window in xs.split(2):
            ys = []
            for x in window:
                hx = cell(x, hx)
                ys.append(hx[0])
            loss(ys).backward()
            hx = tuple(s.detach() for s in hx)
        return [xs.grad]

    compare("LSTMCell", use)


def test_a_pass_inside_another() -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        inner = loss(loop(cell, xs, hx))
        ys = loop(cell, xs, hx)
        ys[3].register_hook(lambda g: inner.backward())
        loss(ys).backward()
        return [xs.grad]

    compare("GRUCell", use)


def test_a_pass_that_fails_leaves_nothing_behind() -> None:
    def use(cell: Any, xs: Any, hx: Any) -> Any:
        ys = loop(cell, xs, hx)
        handle = ys[2].register_hook(lambda g: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            loss(ys).backward(retain_graph=True)
        handle.remove()
        cell.zero_grad()
        xs.grad = None
        loss(ys).backward()
        return [xs.grad]

    compare("GRUCell", use)


@each_cell
def test_passes_at_the_same_time(name: str) -> None:
    """Threads that share a module, and one graph of it."""
    theirs, ours = pair(name, I, H, dtype=F64)
    found = []
    for cell in (ours, theirs):
        xs = draw(12, N, I).requires_grad_()
        shared = loss(loop(cell, xs, start(name)))
        weights = list(cell.parameters())

        def run(
            k: int, cell: Any = cell, xs: Any = xs, shared: Any = shared, w: Any = weights
        ) -> Any:
            own = loss(loop(cell, xs * (k + 1), start(name)))
            every = []
            for _ in range(3):
                every += torch.autograd.grad(own, w, retain_graph=True)
                every += torch.autograd.grad(shared, w, retain_graph=True)
            return every

        found.append([g for grads in at_once(4, run) for g in grads])
    for k, (actual, expected) in enumerate(zip(*found, strict=True)):
        assert_close(actual, expected, 1e-10, str(k))


@each_cell
@pytest.mark.parametrize("wanting", ["all", "none", "first", "last"])
def test_steps_of_a_pass_share_packed_weights(name: str, wanting: str) -> None:
    """The bits of steps that pack their own, as they do where no weight's gradient is asked for."""
    cell, xs = getattr(ft, name)(I, H, dtype=F64), draw(5, 16, I).unbind()
    wants = {"all": xs, "none": (), "first": xs[:1], "last": xs[-1:]}[wanting]
    hx = [s.requires_grad_() for s in tensors(start(name, 16))]
    leaves = [*(x.requires_grad_() for x in wants), *hx]
    total = loss(loop(cell, xs, tuple(hx) if len(hx) > 1 else hx[0]))
    own = torch.autograd.grad(total, leaves, retain_graph=True)
    shared = torch.autograd.grad(total, [*leaves, *cell.parameters()])
    for a, b in zip(own, shared, strict=False):
        assert torch.equal(a, b)


@each_cell
def test_steps_of_other_numbers_of_rows(name: str) -> None:
    """Of some the weights are packed, of others read as they are."""

    def use(cell: Any, xs: Any, hx: Any) -> Any:
        ys = []
        for n, x in zip((40, 40, 17, 9, 2, 1), xs, strict=True):
            hx = tuple(s[:n] for s in hx) if isinstance(hx, tuple) else hx[:n]
            hx = cell(x[:n], hx)
            ys.append(hx[0] if isinstance(hx, tuple) else hx)
        loss(ys).backward()
        return [xs.grad]

    compare(name, use, rows=40)


@each_cell
def test_weights_that_change_between_steps(name: str) -> None:
    """torch refuses to go back through the first step, and so do we."""
    for cell in pair(name, I, H, dtype=F64):
        hx = cell(draw(N, I).requires_grad_(), start(name))
        hx = cell(draw(N, I), hx)
        with torch.no_grad():
            cell.weight_hh.mul_(0.5)
            cell.weight_ih.mul_(0.5)
        hx = cell(draw(N, I), hx)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss(list(tensors(hx))).backward()


@each_cell
def test_weights_that_change_between_passes(name: str) -> None:
    """By an optimizer, by new memory, by another dtype, by a parameter in their place."""

    def use(cell: Any, xs: Any, hx: Any) -> Any:
        def go(scale: float = 1.0, dtype: Any = F64) -> list[Any]:
            x = xs.detach().to(dtype).requires_grad_()
            states = tuple(s.to(dtype) for s in tensors(hx))
            ys = loop(cell, x * scale, states if len(states) > 1 else states[0])
            cell.zero_grad()
            loss(ys).backward()
            return [x.grad, *(p.grad.clone() for p in cell.parameters())]

        found = go()
        torch.optim.SGD(cell.parameters(), 0.01).step()
        loop(cell, xs, hx)  # a graph that nobody goes back through
        found += go()
        cell.weight_hh.data = cell.weight_hh.data.clone() * 2
        found += go()
        loop(cell, xs, hx)
        cell.float()
        assert all(g.dtype is torch.float32 for g in go(1.0, torch.float32))
        cell.double()
        loop(cell, xs, hx)
        with torch.no_grad():
            for p in cell.parameters():
                p.copy_(torch.linspace(-1, 1, p.numel(), dtype=F64).view_as(p))
        cell.bias_hh = torch.nn.Parameter(cell.bias_hh.detach() + 1)
        return [*found, *go()]

    compare(name, use)


def test_modules_are_copied_pickled_and_dropped_as_ever() -> None:
    cell = ft.GRUCell(I, H, dtype=F64)
    ys = loop(cell, draw(3, N, I), start("GRUCell"))
    other = copy.deepcopy(cell)
    torch.save(cell, io.BytesIO())
    assert list(vars(other)) == list(vars(cell))
    gone = weakref.ref(cell)
    del cell, ys
    gc.collect()
    assert gone() is None


def test_nothing_stays_after_a_pass() -> None:
    cell, xs = ft.LSTMCell(I, H, dtype=F64), draw(5, N, I)
    total = loss(loop(cell, xs, start("LSTMCell")))
    sums, _ = late._anchors[cell]
    total.backward(retain_graph=True)
    torch.autograd.grad(total, cell.weight_hh)
    assert not sums._passes


@each_cell
def test_single_steps_make_their_own_products(name: str) -> None:
    """They would wait for nothing."""
    cell = getattr(ft, name)(I, H, dtype=F64)
    y = loss(loop(cell, draw(1, N, I), start(name)))
    assert anchors(y.grad_fn) == 0
    y.backward()
    assert cell.weight_hh.grad.abs().max() > 0


@pytest.mark.parametrize("rows", [256, 257, 1024])
def test_sums_take_no_step_that_is_larger_than_they(rows: int) -> None:
    """None comes from a module, whose steps that train are of few rows."""
    step, h = compiled_step("gru"), draw(rows, H, seed=8)
    weights = (draw(3 * H, I), draw(3 * H, H), draw(3 * H), draw(3 * H))
    given = draw(rows, I), h, *weights
    sums = step.gather(weights)
    _, kept = step.save(given, 1)
    if rows > 256:
        with pytest.raises(RuntimeError, match=f"a step of {rows} rows, expected at most 256"):
            step.backward_rows(kept, given, (h,), True, sums, 1)
        assert not any(g.any() for g in sums.finish(1))
        return
    step.backward_rows(kept, given, (h,), True, sums, 1)
    expected = step.backward(step.save(given, 1)[1], given, (h,), True, 1)
    for one, other in zip(sums.finish(1), expected[2:], strict=True):
        assert_close(one, other, 1e-10, "sum")


def test_a_gradient_that_says_another_shape_than_it_has() -> None:
    """No module gives such a one to the step: it goes through torch's operations."""

    class Claiming(torch.Tensor):
        shape = torch.Size([N, H])

    step, given = compiled_step("rnn_tanh"), (draw(N, I), draw(N, H), draw(H, I), draw(H, H))
    tensors = (*given, None, None)
    wrong = draw(1).as_subclass(Claiming)
    for backward in (
        lambda kept: step.backward(kept, tensors, (wrong,), True, 1),
        lambda kept: step.backward_rows(kept, tensors, (wrong,), True, None, 1),
    ):
        with pytest.raises(TypeError, match=r"dstate\[0\] is a Claiming, expected a plain tensor"):
            backward(step.save(tensors, 1)[1])
