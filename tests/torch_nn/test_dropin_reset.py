"""Rows that start anew inside a batch: `reset=` of the modules and cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dropin import (
    CELLS,
    F32,
    F64,
    QUIET,
    SEQUENCES,
    TOLERANCE,
    assert_close,
    ft,
    pair,
    tensors,
    torch,
)
from dropin import packed as pack
from torch.utils.flop_counter import FlopCounterMode

import fastlstm as fl

T, N, I, H = 7, 5, 3, 4
LENGTHS = [7, 3, 0, 1, 5]
pytestmark = QUIET


def draw(*shape: int, dtype: Any = F64) -> Any:
    return torch.randn(shape, dtype=dtype)


def mask_of(*shape: int) -> Any:
    """Some steps, among them the first of a row, the last of others, and a place past an end."""
    mask = torch.rand(shape) < 0.3
    if shape == (T, N):
        mask[0, 4] = mask[T - 1, 0] = mask[2, 1] = mask[3, 1] = True
    return mask


def states_of(module: Any, *, proj: int = 0, grad: bool = True) -> list[Any]:
    count = module.num_layers * (2 if module.bidirectional else 1)
    sizes = [proj or H, H][: 1 + (module.mode == "LSTM")]
    dtype = next(module.parameters()).dtype
    return [draw(count, N, size, dtype=dtype).requires_grad_(grad) for size in sizes]


def joined(states: list[Any]) -> Any:
    return tuple(states) if len(states) > 1 else states[0]


def gradients(outputs: list[Any], inputs: list[Any], **options: Any) -> Any:
    grads = [torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape).cos() for y in outputs]
    return torch.autograd.grad(outputs, inputs, grads, **options)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("reset_at", ["before", "after"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("name", SEQUENCES)
def test_reset_equals_the_native_layer(name: str, both: bool, reset_at: str, lengths: Any) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": both}
    module = getattr(ft, name)(I, H, dtype=F64, **options)
    native = getattr(fl, name)(I, H, dtype="float64", **options)
    native.load_state_dict({k: v.numpy() for k, v in module.state_dict().items()})
    x, states, mask = draw(T, N, I).requires_grad_(), states_of(module), mask_of(T, N)

    outputs = list(
        tensors(module(x, joined(states), lengths=lengths, reset=mask, reset_at=reset_at))
    )
    start = joined([s.detach().numpy() for s in states])
    cuts = {"reset": mask.numpy(), "reset_at": reset_at}
    y, ends, tape = native.forward(x.detach().numpy(), start, lengths, **cuts)
    for found, expected in zip(outputs, [y, *(ends if name == "LSTM" else [ends])], strict=True):
        assert np.array_equal(found.detach().numpy(), expected)

    leaves = [x, *states, *module.parameters()]
    found = gradients(outputs, leaves, retain_graph=True)
    dy, *dstate = [torch.arange(o.numel(), dtype=F64).reshape(o.shape).cos() for o in outputs]
    dx, d_start = native.backward(tape, dy.numpy(), joined([d.numpy() for d in dstate]))
    expected = [dx, *(d_start if name == "LSTM" else [d_start])]
    expected += [dict(native.named_parameters())[k].grad for k, _ in module.named_parameters()]
    for k, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert_close(ours, torch.from_numpy(theirs), TOLERANCE["gradient", F64], str(k))

    # where the backward pass is recorded, it is made of torch's operations
    again = gradients(outputs, leaves, create_graph=True)
    for k, (ours, theirs) in enumerate(zip(again, found, strict=True)):
        assert_close(ours, theirs, TOLERANCE["gradient", F64], str(k))


def loop(theirs: Any, x: Any, states: list[Any], mask: Any) -> list[Any]:
    """What one would write with torch: each step's state times (1 - mask)."""
    ys, keep = [], (1 - mask.to(x.dtype))[..., None]
    for t in range(len(x)):
        y, after = theirs(x[t : t + 1], joined([s * keep[t] for s in states]))
        states = list(tensors(after))
        ys.append(y)
    return [torch.cat(ys), *states]


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize(
    ("name", "options"),
    [*((n, {"num_layers": 2}) for n in SEQUENCES), ("LSTM", {"proj_size": 2}), ("GRU", {})],
)
def test_reset_equals_a_loop_in_torch(name: str, options: dict[str, Any], dtype: Any) -> None:
    theirs, ours = pair(name, I, H, dtype=dtype, **options)
    x, mask = draw(T, N, I, dtype=dtype).requires_grad_(), mask_of(T, N)
    states = states_of(ours, proj=options.get("proj_size", 0))
    outputs = list(tensors(ours(x, joined(states), reset=mask.to(dtype))))
    expected = loop(theirs, x, states, mask)
    for k, (found, value) in enumerate(zip(outputs, expected, strict=True)):
        assert_close(found, value, TOLERANCE["output", dtype], str(k))
    found = gradients(outputs, [x, *states, *ours.parameters()])
    value = gradients(expected, [x, *states, *theirs.parameters()])
    for k, (a, b) in enumerate(zip(found, value, strict=True)):
        assert_close(a, b, TOLERANCE["gradient", dtype], str(k))


@pytest.mark.parametrize("reset_at", ["before", "after"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_reset_against_finite_differences(name: str, reset_at: str) -> None:
    module = getattr(ft, name)(1, 2, bidirectional=True, dtype=F64)
    mask = torch.tensor([[0, 1], [1, 0], [0, 1]])
    x = draw(3, 2, 1).requires_grad_()
    states = [draw(2, 2, 2).requires_grad_() for _ in range(1 + (name == "LSTM"))]

    def call(x: Any, *given: Any) -> Any:
        start, weights = list(given[: len(states)]), given[len(states) :]
        named = dict(zip(dict(module.named_parameters()), weights, strict=True))
        options = {"reset": mask, "reset_at": reset_at, "lengths": [3, 2]}
        run = torch.func.functional_call
        return tuple(tensors(run(module, named, (x, joined(start)), options)))

    leaves = (x, *states, *(p.detach().requires_grad_() for p in module.parameters()))
    assert torch.autograd.gradcheck(call, leaves, fast_mode=name != "LSTM")
    if reset_at == "before":
        first = lambda *given: call(*given, *leaves[2:])[0]  # noqa: E731
        assert torch.autograd.gradgradcheck(first, leaves[:2], fast_mode=True)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("name", CELLS)
def test_cells_start_rows_anew(name: str, dtype: Any) -> None:
    theirs, ours = pair(name, I, H, dtype=dtype)
    x, mask = draw(T, N, I, dtype=dtype).requires_grad_(), mask_of(T, N)
    states = [draw(N, H, dtype=dtype).requires_grad_() for _ in range(1 + (name == "LSTMCell"))]
    found, expected = list(states), list(states)
    for t in range(T):
        found = list(tensors(ours(x[t], joined(found), reset=mask[t])))
        keep = (1 - mask[t].to(dtype))[:, None]
        expected = list(tensors(theirs(x[t], joined([s * keep for s in expected]))))
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, TOLERANCE["output", dtype], "state")
    a = gradients(found, [x, *states, *ours.parameters()])
    b = gradients(expected, [x, *states, *theirs.parameters()])
    for k, (one, other) in enumerate(zip(a, b, strict=True)):
        assert_close(one, other, TOLERANCE["gradient", dtype], str(k))
    single = ours(x[0, 0], reset=torch.tensor(1.0))  # one row, from zeros at any rate
    assert_close(next(tensors(single)), next(tensors(ours(x[:1, 0])))[0], 1e-6, "single")


@pytest.mark.parametrize("name", SEQUENCES)
def test_one_step_with_a_mask_is_a_step_of_the_whole(name: str) -> None:
    """As a policy acts: the bits of the sequence that it learns from, forward and backward."""
    module = getattr(ft, name)(I, H, batch_first=True)
    x, mask = draw(N, T, I, dtype=F32), mask_of(N, T).float()
    start = states_of(module, grad=False)
    y, ends = module(x, joined(start), reset=mask)
    state: Any = joined(start)
    for t in range(T):
        y_t, state = module(x[:, t : t + 1], state, reset=mask[:, t : t + 1])
        assert torch.equal(y_t[:, 0], y[:, t])
    assert all(map(torch.equal, tensors(state), tensors(ends)))
    after, ends = module(x[:, :1], joined(start), reset=torch.ones(N, 1), reset_at="after")
    assert torch.equal(after, module(x[:, :1], joined(start))[0])
    assert not any(s.any() for s in tensors(ends))


def test_masks_in_every_form() -> None:
    module, x, mask = ft.LSTM(I, H, bidirectional=True), draw(T, N, I, dtype=F32), mask_of(T, N)
    turned = ft.LSTM(I, H, bidirectional=True, batch_first=True)
    turned.load_state_dict(module.state_dict())
    expected = module(x, reset=mask)[0]
    assert not torch.equal(expected, module(x)[0])
    for dtype in (torch.uint8, torch.int64, torch.float16, torch.bfloat16, F32, F64):
        assert torch.equal(module(x, reset=mask.to(dtype))[0], expected)
    assert torch.equal(module(x, reset=mask.numpy())[0], expected)
    for kind in (">f8", ">i2", np.longdouble):
        assert torch.equal(module(x, reset=mask.numpy().astype(kind))[0], expected)
    waiting = (1j * -mask.double()).conj().imag  # a negation that torch has not made yet
    assert torch.equal(module(x, reset=waiting)[0], expected)
    assert torch.equal(turned(x.transpose(0, 1), reset=mask.T)[0].transpose(0, 1), expected)
    assert torch.equal(module(x[:, 0], reset=mask[:, 0])[0], expected[:, 0])
    assert torch.equal(module(x, reset=torch.zeros(T, N))[0], module(x)[0])


@pytest.mark.parametrize("reset_at", ["before", "after"])
def test_arrays_that_torch_does_not_take(reset_at: str) -> None:
    """Those that run backwards, be it a mask or lengths, and those of another byte order."""
    module, x, mask = ft.GRU(I, H, bidirectional=True), draw(T, N, I, dtype=F32), mask_of(T, N)
    lengths = np.arange(N)[::-1]

    def call(reset: Any, lengths: Any) -> Any:
        return module(x, reset=reset, lengths=lengths, reset_at=reset_at)

    y, h = call(mask.flip(0), torch.from_numpy(lengths.copy()))
    arrays = call(mask.numpy()[::-1], lengths)
    of_others = call(mask.numpy()[::-1], lengths.astype(">i4"))  # another machine's bytes
    with FlopCounterMode(display=False):
        by_operators = call(mask.flip(0), lengths)
    for found in (arrays, of_others, by_operators):
        assert torch.equal(found[0], y)
        assert torch.equal(found[1], h)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_reset_in_lower_precision(precision: str) -> None:
    """A row that is cut is two rows."""
    module, x = ft.LSTM(I, H, precision=precision), draw(T, N, I, dtype=F32)
    mask = torch.zeros(T, N)
    mask[3] = 1
    with torch.no_grad():
        y = module(x, reset=mask)[0]
        assert torch.equal(y, torch.cat([module(x[:3])[0], module(x[3:])[0]]))


def test_nothing_passes_a_reset() -> None:
    """Not even NaN, which a product with 0 would let through."""
    for name in SEQUENCES:
        module, x = getattr(ft, name)(I, H), draw(T, N, I, dtype=F32)
        mask = torch.zeros(T, N)
        x[1, 2], mask[2, 2] = float("nan"), 1
        y = module(x, reset=mask)[0]
        assert y[1, 2].isnan().all()
        assert y[2:].isfinite().all()
    cell, bad = ft.GRUCell(I, H), torch.full((N, H), float("nan"))
    assert cell(x[3], bad, reset=torch.ones(N)).isfinite().all()


@pytest.mark.parametrize("name", SEQUENCES)
def test_wrong_masks_are_named(name: str) -> None:
    module, x = getattr(ft, name)(I, H), draw(T, N, I, dtype=F32)
    half = torch.zeros(T, N)
    half[2, 3] = 0.5
    for error, message, given in (
        (TypeError, f"{name}: reset is a list, expected a tensor", [[True]]),
        (ValueError, r"reset has shape \(5, 7\), expected \(7, 5\)", half.T),
        (ValueError, r"reset has shape \(7,\), expected \(7, 5\)", half[:, 0]),
        (ValueError, rf"{name}: reset\[2, 3\] is 0.5, expected 0 or 1", half),
        (ValueError, r"reset\[2, 3\] is nan", half.where(half == 0, float("nan"))),
        (TypeError, "reset has dtype torch.complex64", half.to(torch.complex64)),
        (TypeError, "reset has dtype torch.float8", half.to(torch.float8_e4m3fn)),
        (TypeError, f"{name}: reset has dtype object, expected bools", half.numpy().astype(object)),
        (TypeError, "reset has dtype <U", half.numpy().astype(str)),
        (ValueError, f"{name}: reset masks 1 of its", np.ma.masked_equal(half.numpy(), 0.5)),
        (RuntimeError, "reset is on device meta, expected the CPU", half.to("meta")),
        (ValueError, "reset requires a gradient", half.clone().requires_grad_()),
    ):
        with pytest.raises(error, match=message):
            module(x, reset=given)
    for mask in (None, mask_of(T, N)):
        with pytest.raises(ValueError, match="reset_at is 'within', expected 'before' or 'after'"):
            module(x, reset=mask, reset_at="within")
        with pytest.raises(ValueError, match="reset_at is array.* expected 'before' or 'after'"):
            module(x, reset=mask, reset_at=np.array(["before", "after"]))
    with pytest.raises(ValueError, match=f"{name}: reset is given, expected None with a Packed"):
        module(pack(x, [3, 2, 7, 1, 4]), reset=mask_of(T, N))
    turned = getattr(ft, name)(I, H, batch_first=True)
    wrong = torch.zeros(N, T, dtype=torch.int64)
    wrong[1, 2] = 3
    with pytest.raises(ValueError, match=r"reset\[1, 2\] is 3"):  # before it is turned and moved
        turned(x.transpose(0, 1), reset=wrong, reset_at="after")
    for shape in ((N, 1), (N,)):  # one step
        with pytest.raises(ValueError, match="reset has shape"):
            module(x[:1], reset=torch.zeros(shape))


def test_wrong_masks_of_cells_are_named() -> None:
    cell, x = ft.LSTMCell(I, H), draw(N, I, dtype=F32)
    with pytest.raises(ValueError, match=r"LSTMCell: reset has shape \(5, 1\), expected \(5,\)"):
        cell(x, reset=torch.zeros(N, 1))
    with pytest.raises(ValueError, match=r"LSTMCell: reset\[0\] is 2.0, expected 0 or 1"):
        cell(x, reset=torch.full((N,), 2.0))
    with pytest.raises(ValueError, match=r"LSTMCell: reset has shape \(5,\), expected \(\)"):
        cell(x[0], reset=torch.zeros(N))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its own trace
def test_reset_is_refused_where_torch_runs() -> None:
    module, x = ft.GRU(I, H), draw(T, N, I, dtype=F32)
    with pytest.raises(RuntimeError, match="reset is given, expected None while torch traces"):
        torch.jit.trace(lambda x: module(x, reset=torch.zeros(T, N)), (x,))
    with pytest.raises(RuntimeError, match="reset is given, expected None while torch traces"):
        torch.func.grad(lambda x: module(x, reset=torch.zeros(T, N))[0].sum())(x)
