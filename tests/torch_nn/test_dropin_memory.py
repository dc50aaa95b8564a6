"""What the short way of cells reads is memory of the tensors it is given, or an error."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from dropin import CELLS, F32, F64, ft, torch
from together import at_once

from fastlstm.torch import step as short

I, H = 5, 7
each_cell = pytest.mark.parametrize("name", CELLS)
FREED = "has no memory, expected its values: its storage was freed"


def arguments(name: str, N: int = 2, dtype: Any = F32, **options: Any) -> tuple[Any, Any, Any]:
    torch.manual_seed(3)
    module = getattr(ft, name)(I, H, dtype=dtype, **options)
    x, h, c = (torch.randn(N, size, dtype=dtype) for size in (I, H, H))
    return module, x, (h, c) if name == "LSTMCell" else h


def free(tensor: Any) -> None:
    tensor.untyped_storage().resize_(0)


@each_cell
@pytest.mark.parametrize("which", ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
@pytest.mark.parametrize("N", [2, 65, 1025])
@pytest.mark.parametrize("grad", [True, False])
def test_a_freed_weight(name: str, which: str, N: int, grad: bool) -> None:
    """As sharded training frees those of layers that are not at work."""
    module, x, hx = arguments(name, N)
    free(getattr(module, which))
    with torch.set_grad_enabled(grad), pytest.raises(RuntimeError, match=FREED):
        module(x, hx)


@each_cell
@pytest.mark.parametrize("offset", [0, 4, 1 << 15])
def test_a_freed_part_of_a_larger_storage(name: str, offset: int) -> None:
    """Its address is the offset alone."""
    module, x, hx = arguments(name)
    flat = torch.zeros(offset + module.weight_hh.numel())
    module.weight_hh.data = flat[offset:].view_as(module.weight_hh)
    with torch.no_grad():
        module(x, hx)
        free(flat)
        with pytest.raises(RuntimeError, match=FREED):
            module(x, hx)


@each_cell
def test_a_freed_input_and_state(name: str) -> None:
    for N in (2, 65, 1025):
        for which in range(2):
            module, x, hx = arguments(name, N)
            free((x, hx[0] if isinstance(hx, tuple) else hx)[which])
            with torch.no_grad(), pytest.raises(RuntimeError, match=FREED):
                module(x, hx)


@each_cell
def test_weights_freed_before_backward(name: str) -> None:
    module, x, hx = arguments(name)
    ends = module(x, hx)
    free(module.weight_hh)
    with pytest.raises(RuntimeError, match=FREED):
        (ends[0] if isinstance(ends, tuple) else ends).sum().backward()


def moved(tensor: Any) -> list[Any]:
    """Free a tensor and bring it back elsewhere; return what may lie where it was."""
    values, size = tensor.detach().clone(), tensor.untyped_storage().nbytes()
    free(tensor)
    others = [torch.full((tensor.numel(),), 9.0) for _ in range(8)]
    tensor.untyped_storage().resize_(size)
    with torch.autograd._unsafe_preserve_version_counter(tensor):
        tensor.data.copy_(values)
    return others


def loss(outputs: Any) -> Any:
    y = outputs[0] if isinstance(outputs, tuple) else outputs
    return (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum()


@each_cell
def test_weights_that_moved_before_backward(name: str) -> None:
    """Freed and filled again elsewhere: the same gradients."""
    gradients = []
    for moves in (False, True):
        module, x, hx = arguments(name)
        ends = module(x, hx)
        for p in module.parameters() if moves else ():
            assert all((other == 9).all() for other in moved(p))
        loss(ends).backward()
        gradients.append([p.grad for p in module.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("T", [1, 5])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_sequences_whose_tensors_moved_before_backward(name: str, T: int, precision: str) -> None:
    """The same, and in the first pass that is after a call: its memory can be freed."""
    gradients = []
    for moves in ("nothing", "x", "weights"):
        torch.manual_seed(3)
        module = getattr(ft, name)(I, H, 2, bidirectional=T > 1)
        module.precision = precision
        x = torch.randn(T, 2, I, requires_grad=True)
        outputs = module(x)
        for t in {"nothing": (), "x": (x,), "weights": module.parameters()}[moves]:
            assert all((other == 9).all() for other in moved(t))
        loss(outputs).backward()
        gradients.append([x.grad, *(p.grad for p in module.parameters())])
    for others in gradients[1:]:
        for a, b in zip(gradients[0], others, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_a_weight_of_sequences_freed_before_backward(name: str) -> None:
    module, x = getattr(ft, name)(I, H), torch.randn(3, 2, I, requires_grad=True)
    y, _ = module(x)
    free(module.weight_hh_l0)
    with pytest.raises(RuntimeError, match=FREED):
        y.sum().backward()


@pytest.mark.parametrize("name", [*CELLS, "LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("way", ["plain", "training", "short", "8 bits"])
def test_storages_can_change_their_size_after_a_call(name: str, way: str) -> None:
    """``Tensor.numpy`` would forbid it for good, also to those that shard weights."""
    cell = name in CELLS
    T = 1 if way == "short" else 3
    module = getattr(ft, name)(I, H)
    x = torch.randn(2, I) if cell else torch.randn(T, 2, I)
    hx = torch.zeros(2, H) if cell else torch.zeros(1, 2, H)
    hx = (hx, hx.clone()) if name.startswith("LSTM") else hx
    if way == "8 bits":
        module = ft.quantize_dynamic(torch.nn.ModuleList([module]))[0]
    with torch.set_grad_enabled(way == "training"):
        outputs = module(x, hx)
    if way == "training":
        loss(outputs).backward()
    given = [x, *(hx if isinstance(hx, tuple) else (hx,)), *module.parameters()]
    for tensor in given:
        assert tensor.untyped_storage().resizable()


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_modules_of_sequences(name: str) -> None:
    for grad in (True, False):
        for which in ("weight_ih_l0", "weight_hh_l1", "bias_ih_l0", "x"):
            module, x = getattr(ft, name)(I, H, 2), torch.randn(3, 2, I)
            free(x if which == "x" else getattr(module, which))
            with torch.set_grad_enabled(grad), pytest.raises(RuntimeError, match=FREED):
                module(x)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_a_freed_gradient(name: str) -> None:
    module, x = getattr(ft, name)(I, H), torch.randn(3, 2, I)
    dy = torch.ones(3, 2, H)
    y, _ = module(x)
    free(dy)
    with pytest.raises(RuntimeError, match=FREED):
        y.backward(dy)


def saved(name: str, *sizes: Any, **options: Any) -> tuple[Any, Any, Any]:
    """A compiled step, its tensors, and what it kept of them."""
    module, x, hx = arguments(name, *sizes, **options)
    step = short.compiled_step("rnn_tanh" if name == "RNNCell" else name[:-4].lower())
    tensors = step.tensors(module._parameters, module.bias, x, hx)
    return step, tensors, step.save(tensors, 1)[1]


@pytest.mark.usefixtures("native")
@each_cell
def test_a_step_serves_the_tensors_it_was_saved_with(name: str) -> None:
    step, tensors, kept = saved(name)
    none = (None,) * (len(tensors) - 5)
    for sizes, options in [((3,), {}), ((2, F64), {}), ((2,), {"bias": False})]:
        _, others, _ = saved(name, *sizes, **options)
        with pytest.raises(RuntimeError, match="step was not saved|other shapes than when"):
            step.backward(kept, others, none, True, 1)
    other = next(n for n in CELLS if n != name)
    with pytest.raises(RuntimeError, match="step was not saved|other shapes than when"):
        step.backward(saved(other)[2], tensors, none, True, 1)
    step.backward(kept, tensors, none, True, 1)
    with pytest.raises(RuntimeError, match="used before"):
        step.backward(kept, tensors, none, True, 1)
    with pytest.raises(RuntimeError, match="used before"):
        step.backward(type(kept)(), tensors, none, True, 1)


@pytest.mark.usefixtures("native")
@each_cell
def test_gradients_of_other_sizes(name: str) -> None:
    step, tensors, kept = saved(name)
    for bad in (torch.zeros(1), torch.zeros(2, H + 1), torch.zeros(2, H, dtype=F64)):
        dstate = (bad,) * (len(tensors) - 5)
        with pytest.raises(ValueError, match=r"given\[0\] is torch.float"):
            step.backward(kept, tensors, dstate, True, 1)


@pytest.mark.usefixtures("native")
@each_cell
def test_one_backward_pass_of_many_threads(name: str) -> None:
    step, tensors, kept = saved(name, 64)
    dstate = (torch.ones(64, H),) * (len(tensors) - 5)

    def backward(_: int) -> Any:
        try:
            return step.backward(kept, tensors, dstate, True, 1)
        except RuntimeError as error:
            return str(error)

    results = at_once(4, backward)
    assert sum(isinstance(r, list) for r in results) == 1
    assert sum("used before" in r for r in results if isinstance(r, str)) == 3


@pytest.mark.usefixtures("native")
@each_cell
def test_weights_of_one_axis_and_of_none(name: str) -> None:
    for value in (torch.zeros(64), torch.zeros(3 * H), torch.zeros(0, H), torch.zeros(())):
        for which in ("weight_ih", "weight_hh"):
            module, x, hx = arguments(name)
            setattr(module, which, torch.nn.Parameter(value))
            for grad in (True, False):
                with (
                    torch.set_grad_enabled(grad),
                    pytest.raises(
                        (ValueError, RuntimeError, TypeError),
                        match=name if value.dim() != 2 else None,
                    ),
                ):
                    module(x, hx)


@pytest.mark.usefixtures("native")
def test_weights_packed_of_nothing() -> None:
    module, x, hx = arguments("GRUCell")
    step = short.compiled_step("gru")
    tensors = step.tensors(module._parameters, True, x, hx)
    empty = type(step.pack(tensors[2:]))()
    assert empty.changed(tensors)
    assert step.packed_step(tensors, empty, 1) is None
    assert copy.copy(module)(x, hx).shape == hx.shape
