"""Calls of the torch modules that do not fit: a clear error, as torch's own where it has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from attack.fuzz.draw import Rng, chance, pick
from attack.fuzz.hostile import anything, attempt, is_clear
from attack.fuzz.torch_calls import arguments as call_arguments
from attack.fuzz.torch_calls import cell_arguments as step_arguments
from attack.fuzz.torch_calls import dtype_of, flat
from attack.fuzz.torch_draw import cell_pair, sequence_pair

NAMES = {
    "input", "hx", "hidden", "batch", "weight", "bias", "parameter", "dtype", "size", "shape",
    "dimension", "tensor", "lengths", "storage", "Expected", "expected", "layout", "device",
}  # fmt: skip


class Lying(torch.Tensor):
    """A tensor that answers another shape than its memory has."""

    @property
    def shape(self) -> Any:  # type: ignore[override]
        return torch.Size([n + 4 for n in torch.Tensor.size(self)])


def damaged(rng: Rng, t: Any) -> Any:
    """A tensor changed into one that does not fit, mostly."""
    if not isinstance(t, torch.Tensor) or chance(rng, 5):
        return anything(rng)
    how: tuple[Callable[[], Any], ...] = (
        lambda: t[..., :-1],
        lambda: t[1:],
        lambda: t[None],
        lambda: t.reshape(-1),
        lambda: t.to(torch.float16),
        lambda: t.to(torch.int64),
        lambda: t.to(torch.complex64),
        lambda: t.to(torch.float64 if t.dtype == torch.float32 else torch.float32),
        lambda: t.to_sparse() if t.dim() else t,
        lambda: t.to("meta"),
        lambda: t[..., :0],
        lambda: t[:0],
        lambda: t.new_zeros(()).expand(1 << 40, *t.shape),
        lambda: t.new_zeros(()).expand(t.shape),
        lambda: t * float("nan") if t.is_floating_point() else t - 2**40,
        lambda: t.detach().clone().as_subclass(Lying),
        lambda: t.numpy() if not t.requires_grad and not t.is_neg() else t,
        lambda: freed(t),
    )
    return pick(rng, how)()


def freed(t: Any) -> Any:
    """A tensor whose memory was given back."""
    bare = t.detach().clone()
    bare.untyped_storage().resize_(0)
    return bare


def _both(ours: Any, theirs: Any, call: Callable[[Any], Any], names: set[str] = NAMES) -> None:
    """What torch refuses is refused; what both take gives the same, where numbers are finite."""
    found = attempt(lambda: call(ours), names)
    try:
        expected = call(theirs)
    except Exception as error:
        if found is not None and not isinstance(error, (NotImplementedError, AttributeError)):
            told = f"{type(error).__name__}: {str(error)[:200]}"
            raise AssertionError(f"taken, where torch says {told}") from error
        return
    if found is None:
        return
    for one, other in zip(flat(found), flat(expected), strict=True):
        assert one.shape == other.shape, f"shape {one.shape}, expected {other.shape}"
        if one.dtype == other.dtype and one.device == other.device and torch.isfinite(other).all():
            scale = max(float(other.abs().max()) if other.numel() else 0, 1e-3)
            error = float((one - other).abs().max()) / scale if other.numel() else 0.0
            assert error <= 1e-4, f"result: error {error:.1e} of its scale"


def spoilt(rng: Rng, args: tuple[Any, ...]) -> tuple[Any, ...]:
    which = int(rng.integers(len(args)))
    value = args[which]
    if isinstance(value, tuple) and not chance(rng, 4):
        bad = int(rng.integers(len(value)))
        value = tuple(damaged(rng, t) if k == bad else t for k, t in enumerate(value))
    else:
        value = damaged(rng, value)
    return (*args[:which], value, *args[which + 1 :])


def no_memory(args: tuple[Any, ...]) -> bool:
    """Whether a tensor's memory is gone: torch itself reads at address 0 then."""
    return any(
        isinstance(t, torch.Tensor) and t.layout is torch.strided and t.device.type == "cpu"
        and t.numel() and not t.untyped_storage().nbytes()
        for t in flat(args)
    )  # fmt: skip


def _crashes_torch(cell: Any, args: tuple[Any, ...]) -> bool:
    """Whether torch's own cell would read at an address near 0.

    A state of rows beside an input without them becomes one of three axes there; for a single
    hidden unit its size is right, and no check of torch's stands before its kernel.
    """
    single = isinstance(args[0], torch.Tensor) and args[0].dim() == 1
    rows = single and any(t.dim() == 2 for t in flat(args[1:]))
    return no_memory(args) or (rows and cell.hidden_size == 1)


def arguments(rng: Rng) -> None:
    """A sequence module with a damaged input or state, called or trained."""
    ours, theirs = sequence_pair(rng)
    args = spoilt(rng, call_arguments(rng, ours))
    if no_memory(args):
        attempt(lambda: ours(*args), NAMES)
    elif chance(rng, 3):
        lengths = pick(rng, (anything(rng), [-1], [2**62], [1.5], torch.tensor([9, 9])))
        attempt(lambda: ours(*args, lengths=lengths), NAMES)
    else:
        _both(ours, theirs, lambda module: module(*args))


def cell_arguments(rng: Rng) -> None:
    """A cell with a damaged input or state."""
    ours, theirs = cell_pair(rng)
    args = spoilt(rng, step_arguments(rng, ours))
    context = torch.no_grad() if chance(rng, 2) else torch.enable_grad()
    with context:
        if _crashes_torch(ours, args):
            attempt(lambda: ours(*args), NAMES)
        else:
            _both(ours, theirs, lambda module: module(*args))


def packed(rng: Rng) -> None:
    """PackedSequences whose parts do not fit together."""
    ours, _ = sequence_pair(rng)
    T, N = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    x = torch.randn(T, N, ours.input_size, dtype=dtype_of(ours))
    good = pack_padded_sequence(x, torch.full((N,), T), enforce_sorted=False)
    parts: dict[str, Any] = good._asdict()
    sizes = pick(
        rng,
        (
            torch.tensor([2**62, 2**62]), torch.tensor([-1, 1]), torch.tensor([]),
            torch.tensor([1, N + 1]), torch.tensor([[N]]), torch.tensor([N], dtype=torch.int32),
            damaged(rng, good.batch_sizes),
        ),
    )  # fmt: skip
    name = pick(rng, ("batch_sizes", "data", "sorted_indices", "unsorted_indices"))
    index = pick(
        rng, (torch.full((N,), 9), torch.full((N,), -1), torch.zeros(0, dtype=torch.int64))
    )
    wrong = {"batch_sizes": sizes, "data": damaged(rng, good.data)}.get(name, index)
    parts[name] = wrong
    try:
        given = PackedSequence(**parts)
    except Exception:  # torch's own
        return
    if no_memory((given,)):
        return
    names = NAMES | {"PackedSequence", "index", "INDICES"}
    attempt(lambda: ours(given)[0].data.sum().backward(), names)


def weights(rng: Rng) -> None:
    """A weight replaced, deleted or re-typed, before a call or between it and backward."""
    is_cell = chance(rng, 2)
    ours, _ = cell_pair(rng) if is_cell else sequence_pair(rng)
    args = step_arguments(rng, ours) if is_cell else call_arguments(rng, ours)
    name = pick(rng, [n for n, _ in ours.named_parameters()])
    names = NAMES | {name}

    def change() -> None:
        value, how = damaged(rng, ours.get_parameter(name).detach()), int(rng.integers(4))
        if how == 0:
            delattr(ours, name)
        elif how == 1:
            ours.get_parameter(name).data = value
        elif how == 2:
            setattr(ours, name, torch.nn.Parameter(value, requires_grad=False))
        else:
            ours.get_parameter(name).grad = value

    def changed() -> None:
        try:
            change()
        except Exception:  # torch's own, in its own words
            return

    if chance(rng, 2):
        changed()
        if not no_memory(tuple(ours.parameters())):
            attempt(lambda: sum(o.sum() for o in flat(ours(*args))), names)
        with torch.no_grad():
            attempt(lambda: ours(*args), names)
        return
    outputs = attempt(lambda: flat(ours(*args)), names)
    changed()
    if no_memory(tuple(p.grad for p in ours.parameters())):  # torch itself adds to it
        return
    try:
        torch.autograd.backward(outputs, [torch.ones_like(o) for o in outputs])
    except Exception as error:
        is_clear(error, ())


def storages(rng: Rng) -> None:
    """Memory of inputs, states, weights and outputs given back before a call or before backward."""
    is_cell = chance(rng, 2)
    ours, _ = cell_pair(rng) if is_cell else sequence_pair(rng)
    args = step_arguments(rng, ours) if is_cell else call_arguments(rng, ours)
    args = tuple(_own(a) for a in args)
    outputs = flat(ours(*args))
    target = pick(rng, [*flat(args), *ours.parameters(), *outputs])
    # Behind autograd's back, as sharding does: what was kept for backward shares this memory.
    try:
        target.detach().untyped_storage().resize_(0)
    except RuntimeError:  # memory of an array's, which cannot go
        return
    if chance(rng, 2):
        dy = [torch.ones(o.shape, dtype=o.dtype) for o in outputs]
        attempt(lambda: torch.autograd.backward(outputs, dy), NAMES | {"saved", "memory", "freed"})
    else:
        mode = torch.no_grad() if chance(rng, 2) else torch.enable_grad()
        with mode:
            attempt(lambda: ours(*args), NAMES | {"memory", "freed"})


def _own(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_own(part) for part in value)
    return value.detach().clone().requires_grad_()


def subclasses(rng: Rng) -> None:
    """Tensors of subclasses, honest or lying, as input and state."""
    is_cell = chance(rng, 2)
    ours, theirs = cell_pair(rng) if is_cell else sequence_pair(rng)
    args = step_arguments(rng, ours) if is_cell else call_arguments(rng, ours)
    kind = pick(rng, (Lying, torch.nn.Parameter, torch.nn.Buffer))
    turned = args[0].detach().clone()
    x = turned.as_subclass(Lying) if kind is Lying else kind(turned)
    if kind is Lying:
        attempt(lambda: ours(x, *args[1:]), NAMES)
    else:
        _both(ours, theirs, lambda module: module(x, *args[1:]))
