"""The torch modules in lower precision: the bits of the native layers, which have a definition."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import pack_padded_sequence

import fastlstm as fl
import fastlstm.torch as ft
from attack.fuzz import compare
from attack.fuzz.draw import LOWER, Rng, chance, pick
from attack.fuzz.hostile import anything, attempt
from attack.fuzz.torch_calls import arguments as call_arguments
from attack.fuzz.torch_calls import cell_arguments as step_arguments
from attack.fuzz.torch_calls import flat, leaves
from attack.fuzz.torch_draw import cell_pair, sequence_pair
from attack.fuzz.torch_hostile import NAMES, no_memory, spoilt

OPTIONS = ("num_layers", "bias", "batch_first", "bidirectional", "proj_size", "nonlinearity")


def pair(rng: Rng) -> tuple[Any, Any, tuple[Any, ...]]:
    """Ours, torch's and arguments for both, of float32: a sequence module or a cell."""
    is_cell = chance(rng, 2)
    ours, theirs = cell_pair(rng, torch.float32) if is_cell else sequence_pair(rng, torch.float32)
    return ours, theirs, (step_arguments if is_cell else call_arguments)(rng, ours)


def native(module: Any) -> Any:
    """The native layer or cell of the same weights and precision."""
    names = [n for n in OPTIONS if getattr(module, n, None)]
    options = {n: getattr(module, n) for n in names} | {"bias": module.bias}
    cls = getattr(fl, type(module).__name__)
    made = cls(module.input_size, module.hidden_size, precision=module.precision, **options)
    made.load_state_dict({k: t.numpy().copy() for k, t in module.state_dict().items()})
    return made


def arrays(args: tuple[Any, ...]) -> list[Any]:
    """Arguments for the native layer."""
    return [
        tuple(t.detach().resolve_neg().numpy().copy() for t in a)
        if isinstance(a, tuple)
        else a.detach().resolve_neg().numpy().copy()
        for a in args
    ]


def same_bits(actual: Any, expected: Any, name: str) -> None:
    """Assert that tensors are arrays, or other tensors, to the bit."""
    found, wanted = flat(actual), compare.parts(expected)
    for k, (one, other) in enumerate(zip(found, wanted, strict=True)):
        compare.to_the_bit(one.detach().numpy(), other, f"{name}[{k}]")


def results(made: Any, given: list[Any]) -> list[Any]:
    """What a native layer or cell returns, in a row."""
    found = made(*given)
    if not hasattr(made, "num_layers"):
        return compare.parts(found)
    return [found[0], *compare.parts(found[1])]


def as_native(rng: Rng) -> None:
    """A call in lower precision gives the native layer's bits; its gradients in bfloat16 too."""
    ours, _, args = pair(rng)
    ours.precision = pick(rng, LOWER)
    made, given = native(ours), arrays(args)
    expected = results(made, given)
    with torch.no_grad():
        same_bits(ours(*args), expected, "result")
    if ours.precision == "int8":
        error = attempt(lambda: ours(*args), {"precision"})
        assert error is None, "int8 gave a result that may want a gradient"
        return
    args = tuple(leaves(a) for a in args)
    outputs = flat(ours(*args))
    same_bits(outputs, expected, "result with gradients")
    dy = [torch.randn_like(o) for o in outputs]
    torch.autograd.backward(outputs, dy)
    d_x, d_state = _native_backward(made, given, [t.numpy() for t in dy])
    same_bits(args[0].grad, d_x, "gradient of x")
    if len(args) > 1:
        same_bits([t.grad for t in flat(args[1])], d_state, "gradient of the state")
    for name, parameter in made.named_parameters():
        same_bits(ours.get_parameter(name).grad, parameter.grad, f"gradient of {name}")


def _native_backward(made: Any, given: list[Any], dy: list[Any]) -> tuple[Any, Any]:
    *_, tape = made.forward(*given)
    if hasattr(made, "num_layers"):
        return tuple(made.backward(tape, dy[0], compare.like(made, dy[1:])))
    return tuple(made.backward(tape, compare.like(made, dy)))


def packed(rng: Rng) -> None:
    """In every precision a packed batch, lengths and rows alone give the same bits."""
    ours, _ = sequence_pair(rng, torch.float32)
    ours.precision = pick(rng, ("float32", *LOWER))
    T, N = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    x = torch.randn(N, T, ours.input_size) * 10 ** (3 * torch.rand(N, 1, 1) - 2)
    lengths = torch.from_numpy(rng.integers(1, T + 1, N))
    first = x if ours.batch_first else x.transpose(0, 1)
    given = pack_padded_sequence(first, lengths, ours.batch_first, enforce_sorted=False)
    n = int(rng.integers(N))
    with torch.no_grad():
        y, *_ = ours(first, lengths=lengths)
        data = ours(given)[0].data
        again = pack_padded_sequence(y, lengths, ours.batch_first, enforce_sorted=False).data
        alone = flat(ours(x[n, : lengths[n]]))
        whole = flat(ours(first, lengths=lengths))
    assert torch.equal(data, again), "y of a packed batch differs from that of lengths"
    row = y[n] if ours.batch_first else y[:, n]
    assert torch.equal(row[: lengths[n]], alone[0]), "y of a row alone differs"
    for one, other in zip(alone[1:], whole[1:], strict=True):
        assert torch.equal(one, other[:, n]), "state of a row alone differs"


def accelerated(rng: Rng) -> None:
    """`accelerate` in a precision is our module in it; `restore` forgets it; float64 refuses."""
    ours, theirs, args = pair(rng)
    exact = ours.precision = pick(rng, LOWER)
    holder = torch.nn.ModuleDict({"a": theirs, "b": torch.nn.Linear(2, 2)})
    if chance(rng, 4):
        holder["c"] = torch.nn.GRU(2, 3, dtype=torch.float64)
        assert attempt(lambda: ft.accelerate(holder, precision=exact), {"c"}) is None
        assert type(holder["a"]) is type(theirs), "swapped, though one module refuses"
        return
    ft.accelerate(holder, precision=exact)
    with torch.no_grad():
        for one, other in zip(flat(holder["a"](*args)), flat(ours(*args)), strict=True):
            assert torch.equal(one, other), f"accelerated in {exact}: other bits"
    ft.restore(holder)
    ft.accelerate(holder)
    assert holder["a"].precision == "float32", "restore kept the precision"


def hostile(rng: Rng) -> None:
    """Damaged arguments and weights of modules in lower precision."""
    ours, _, args = pair(rng)
    ours.precision = pick(rng, LOWER)
    mode = torch.no_grad() if ours.precision == "int8" or chance(rng, 2) else torch.enable_grad()
    how = int(rng.integers(3))
    if how == 0:
        attempt(lambda: setattr(ours, "precision", anything(rng)), {"precision"})
        assert ours.precision in LOWER, f"precision is {ours.precision!r}"
    elif how == 1:
        args = spoilt(rng, args)
    else:
        name = pick(rng, [n for n, _ in ours.named_parameters()])
        with torch.no_grad():
            ours.get_parameter(name).view(-1)[0] = pick(rng, (torch.nan, torch.inf, 1e38))
    with mode:
        found = attempt(lambda: ours(*args), NAMES | {"w_ih", "w_hh", "w_hr", "precision"})
    wanted = [o for o in flat(found) if o.requires_grad]
    if wanted and not no_memory(args):
        dy = [torch.ones_like(o) for o in wanted]
        attempt(lambda: torch.autograd.backward(wanted, dy), NAMES)
