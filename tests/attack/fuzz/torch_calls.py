"""Right calls of the torch modules, each compared with torch's own: values and gradients."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import torch
from cases import draw_lengths
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import fastlstm.torch as ft
from attack.fuzz import compare
from attack.fuzz.draw import Rng, chance, pick
from attack.fuzz.torch_draw import cell_pair, dtype_of, leaf, sequence_pair, states, tensor

TOLERANCE = {
    ("y", torch.float32): 1e-5, ("d", torch.float32): 1e-4,
    ("y", torch.float64): 1e-10, ("d", torch.float64): 1e-10,
}  # fmt: skip
FLOOR = {"y": compare.FLOOR["output"], "d": compare.FLOOR["gradient"]}
Results = dict[str, Any]


def flat(value: Any) -> list[Any]:
    """All tensors in nested tuples and PackedSequences."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, PackedSequence):
        return [value.data]
    if isinstance(value, (tuple, list)):
        return [t for part in value for t in flat(part)]
    return []


def leaves(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return leaf(value)
    if isinstance(value, PackedSequence):
        return PackedSequence(leaf(value.data), *value[1:])
    if isinstance(value, tuple):
        return tuple(leaves(part) for part in value)
    return value


def run(module: Any, args: tuple[Any, ...], seed: int) -> Results:
    """Outputs, and the gradients of a fixed sum of them, by name."""
    args = tuple(leaves(a) for a in args)
    module.zero_grad()
    outputs = flat(module(*args))
    rng = torch.Generator().manual_seed(seed)
    dy = [torch.randn(o.shape, generator=rng, dtype=o.dtype) for o in outputs]
    torch.autograd.backward(outputs, dy)
    results = {f"y{k}": o.detach() for k, o in enumerate(outputs)}
    results |= {f"dx{k}": t.grad for k, t in enumerate(flat(args))}
    return results | {f"d{name}": p.grad for name, p in module.named_parameters()}


def same(actual: Results, expected: Results, dtype: Any) -> None:
    """Assert that results are torch's; a gradient of zeros where it has none is right too."""
    assert actual.keys() == expected.keys(), f"{sorted(actual)}, not {sorted(expected)}"
    for name, other in expected.items():
        one = actual[name]
        if other is None:
            assert one is None or not one.any(), f"{name} has values, expected None"
            continue
        assert one is not None, f"{name} is None"
        assert one.shape == other.shape, f"{name} has shape {one.shape}, expected {other.shape}"
        assert one.dtype == other.dtype, f"{name} has dtype {one.dtype}, expected {other.dtype}"
        if other.numel():
            error = float((one - other).abs().max()) / max(float(other.abs().max()), FLOOR[name[0]])
            limit = TOLERANCE[name[0], dtype]
            assert error <= limit, f"{name}: error {error:.1e} of its scale, allowed {limit:.0e}"


def _sizes(rng: Rng) -> tuple[int, int]:
    return int(rng.integers(1, 6)), int(rng.integers(1, 6))


def arguments(rng: Rng, module: Any) -> tuple[Any, ...]:
    T, N = _sizes(rng)
    single = chance(rng, 6)
    outer = (T,) if single else (N, T) if module.batch_first else (T, N)
    x = tensor(rng, (*outer, module.input_size), dtype_of(module))
    hx = states(rng, module, None if single else N)
    return (x,) if hx is None else (x, hx)


def sequence(rng: Rng) -> None:
    """A call and its gradients; inference gives the same bits."""
    ours, theirs = sequence_pair(rng)
    args, seed = arguments(rng, ours), int(rng.integers(1 << 30))
    found = run(ours, args, seed)
    same(found, run(theirs, args, seed), dtype_of(ours))
    with torch.no_grad():
        for k, y in enumerate(flat(ours(*args))):
            assert torch.equal(y, found[f"y{k}"]), f"y{k} without gradients differs"


def packed(rng: Rng) -> None:
    """A PackedSequence, sorted or not."""
    ours, theirs = sequence_pair(rng)
    T, N = _sizes(rng)
    lengths = torch.from_numpy(draw_lengths(rng, T, N).clip(1))
    x = tensor(rng, (T, N, ours.input_size), dtype_of(ours))
    if in_order := chance(rng, 2):
        lengths = lengths.sort(descending=True).values
    given = pack_padded_sequence(x, lengths, enforce_sorted=in_order)
    hx, seed = states(rng, ours, N), int(rng.integers(1 << 30))
    args = (given,) if hx is None else (given, hx)
    same(run(ours, args, seed), run(theirs, args, seed), dtype_of(ours))


def cell_arguments(rng: Rng, module: Any) -> tuple[Any, ...]:
    N, single, dtype = int(rng.integers(1, 9)), chance(rng, 5), dtype_of(module)
    outer = () if single else (N,)
    x = tensor(rng, (*outer, module.input_size), dtype)
    if chance(rng, 3):
        return (x,)
    h = [tensor(rng, (*outer, module.hidden_size), dtype) for _ in range(2)]
    return (x, tuple(h) if isinstance(module, torch.nn.LSTMCell) else h[0])


def cell(rng: Rng) -> None:
    """A step and its gradients, and a chain of steps without them."""
    ours, theirs = cell_pair(rng)
    args, seed = cell_arguments(rng, ours), int(rng.integers(1 << 30))
    same(run(ours, args, seed), run(theirs, args, seed), dtype_of(ours))
    ends = []
    with torch.no_grad():
        for module in (ours, theirs):
            state = args[1] if len(args) > 1 else None
            for _ in range(3):
                state = module(args[0], state)
            ends.append({f"y{k}": t for k, t in enumerate(flat(state))})
    same(*ends, dtype_of(ours))


def in_place(rng: Rng) -> None:
    """Tensors changed in place between forward and backward: as torch, an error or its values."""
    pair = sequence_pair(rng)
    args, seed = arguments(rng, pair[0]), int(rng.integers(1 << 30))
    which, name = int(rng.integers(3)), pick(rng, [n for n, _ in pair[0].named_parameters()])
    found: list[Any] = []
    for module in pair:
        own = tuple(leaves(a) for a in args)
        module.zero_grad()
        x = own[0] * 1
        outputs = flat(module(x, *own[1:]))
        with torch.no_grad():
            target = (x, outputs[0], module.get_parameter(name))[which]
        try:
            with torch.no_grad():
                target.mul_(2)
            rng_ = torch.Generator().manual_seed(seed)
            dy = [torch.randn(o.shape, generator=rng_, dtype=o.dtype) for o in outputs]
            torch.autograd.backward(outputs, dy)
        except RuntimeError as error:
            found.append(str(error))
            continue
        results = {f"dx{k}": t.grad for k, t in enumerate(flat(own))}
        found.append(results | {f"d{n}": p.grad for n, p in module.named_parameters()})
    ours, theirs = found
    if isinstance(ours, str):  # torch's own need not notice what it does not need
        assert "modified" in ours or "in-place" in ours or "inplace" in ours, ours
    elif not isinstance(theirs, str):
        same(ours, theirs, dtype_of(pair[0]))


def hooks(rng: Rng) -> None:
    """Hooks on modules and tensors are called, and what they change counts."""
    found = []
    pair = sequence_pair(rng)
    args, seed = arguments(rng, pair[0]), int(rng.integers(1 << 30))
    for module in pair:
        seen: list[str] = []
        handles = [
            module.register_forward_pre_hook(lambda m, a, s=seen: s.append("pre")),
            module.register_forward_hook(
                lambda m, a, out, s=seen: (s.append("post"), (out[0] * 2, out[1]))[1]
            ),
            module.register_full_backward_hook(lambda m, i, o, s=seen: s.append("back")),
        ]
        results = run(module, args, seed)
        for handle in handles:
            handle.remove()
        found.append((seen, results))
    assert found[0][0] == found[1][0], f"hooks called: {found[0][0]}, torch's {found[1][0]}"
    same(found[0][1], found[1][1], dtype_of(pair[0]))


def modes(rng: Rng) -> None:
    """Some gradients only, frozen weights, the graph kept, inference mode."""
    ours, theirs = sequence_pair(rng)
    args, seed = arguments(rng, ours), int(rng.integers(1 << 30))
    frozen = [n for n, _ in ours.named_parameters() if chance(rng, 2)]
    found = []
    for module in (ours, theirs):
        for name in frozen:
            module.get_parameter(name).requires_grad_(False)
        own = tuple(leaves(a) for a in args)
        y = flat(module(*own))[0]
        wanted = [own[0], *[p for p in module.parameters() if p.requires_grad]]
        dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=y.dtype)
        first = torch.autograd.grad(y, wanted, dy, retain_graph=True, allow_unused=True)
        again = torch.autograd.grad(y, wanted, dy, allow_unused=True)
        found.append({f"d{k}": g for k, g in enumerate(first)})
        for one, other in zip(first, again, strict=True):
            assert one is None or torch.equal(one, other), "a second backward differs"
    same(*found, dtype_of(ours))
    with torch.inference_mode():
        for one, other in zip(flat(ours(*args)), flat(theirs(*args)), strict=True):
            same({"y": one}, {"y": other}, dtype_of(ours))


def copies(rng: Rng) -> None:
    """A copy, a saved and loaded module and accelerate give the same bits."""
    ours, theirs = sequence_pair(rng) if chance(rng, 2) else cell_pair(rng)
    is_cell = isinstance(ours, torch.nn.RNNCellBase)
    args = cell_arguments(rng, ours) if is_cell else arguments(rng, ours)
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    made = [copy.deepcopy(ours), torch.load(file, weights_only=False)]
    holder = torch.nn.ModuleList([theirs])
    ft.accelerate(holder)
    made.append(holder[0])
    with torch.no_grad():
        expected = flat(ours(*args))
        for module in made:
            for one, other in zip(flat(module(*args)), expected, strict=True):
                assert torch.equal(one, other), f"a copy's y differs: {type(module).__name__}"


def _refused(call: Callable[[], Any]) -> str | None:
    """What a call says that raises RuntimeError; None for one that does not."""
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return None


def fixed(rng: Rng) -> None:
    """Inside fixed_weights the same bits; a weight changed there is an error."""
    ours, _ = cell_pair(rng)
    args = cell_arguments(rng, ours)
    with torch.no_grad():
        expected = flat(ours(*args))
        with ft.fixed_weights(ours):
            for one, other in zip(flat(ours(*args)), expected, strict=True):
                assert torch.equal(one, other), "y inside fixed_weights differs"
            ours.weight_hh.mul_(2)
            if (error := _refused(lambda: ours(*args))) is not None:
                assert "weight" in error, error
        after = flat(ours(*args))
    assert len(after) == len(expected)
