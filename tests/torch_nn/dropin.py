"""What the tests of `fastlstm.torch` share: pairs of modules, results by name, comparisons.

The folder is not called torch: without torch installed, a folder of that name on the import path
would be imported in its place. Where torch is missing, whoever imports this is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # its workers spin after each call and slow what runs next
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence  # noqa: E402

import fastlstm.torch as ft  # noqa: E402

SEQUENCES = ("LSTM", "GRU", "RNN")
CELLS = ("LSTMCell", "GRUCell", "RNNCell")
F32, F64 = torch.float32, torch.float64
# torch's own word on its own LSTM with a projection, once a process.
QUIET = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
# As promised: relative to the largest value of the tensor compared.
TOLERANCE = {
    ("output", F32): 1e-5,
    ("gradient", F32): 1e-4,
    ("output", F64): 1e-10,
    ("gradient", F64): 1e-10,
}
Tensors = dict[str, Any]
# Of the processor's numbers alone: torch's own also notes, for each kind of device that may come
# later, from where it was called, which takes two milliseconds.
manual_seed = torch.default_generator.manual_seed


def pair(name: str, *args: Any, seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """torch's module and ours, each made from the same seed."""
    made = []
    for module in (torch.nn, ft):
        manual_seed(seed)
        made.append(getattr(module, name)(*args, **options))
    return made[0], made[1]


def tensors(value: Any) -> Iterator[Any]:
    """All tensors in nested tuples, lists and PackedSequences (of those the data)."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors(part)


def fresh(value: Any) -> Any:
    """A copy of nested tensors, each a leaf that wants a gradient."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_()
    if isinstance(value, PackedSequence):
        return PackedSequence(fresh(value.data), *value[1:])
    if isinstance(value, (tuple, list)):
        return type(value)(fresh(part) for part in value)
    return value


def results(module: Any, *args: Any, seed: int = 1, **options: Any) -> tuple[Tensors, Tensors]:
    """Outputs and all gradients (of a fixed weighted sum of them), by name."""
    leaves = [fresh(a) for a in args]
    module.zero_grad()
    manual_seed(seed)  # for dropout
    outputs = list(tensors(module(*leaves, **options)))
    rng = torch.Generator().manual_seed(seed)
    dy = [torch.randn(o.shape, generator=rng, dtype=o.dtype) for o in outputs]
    sum((o * d).sum() for o, d in zip(outputs, dy, strict=True)).backward()
    gradients = {f"dx{i}": t.grad for i, t in enumerate(tensors(leaves))}
    gradients |= {name: p.grad for name, p in module.named_parameters()}
    return {f"y{i}": o.detach() for i, o in enumerate(outputs)}, gradients


def assert_close(actual: Any, expected: Any, tolerance: float, name: str) -> None:
    """Assert same shape and dtype, and equal up to `tolerance` of the largest value expected."""
    assert (actual is None) == (expected is None), f"{name}: only one has a value"
    if expected is None:
        return
    assert actual.shape == expected.shape, f"{name}: {actual.shape}, not {expected.shape}"
    assert actual.dtype == expected.dtype, f"{name}: {actual.dtype}, not {expected.dtype}"
    if not expected.numel():
        return
    actual, expected = actual.detach(), expected.detach()
    scale = max(float(expected.abs().max()), 1e-3)
    error = float((actual - expected).abs().max()) / scale
    assert error <= tolerance, f"{name}: error {error:.1e} of its scale, allowed {tolerance:.0e}"


def assert_alike(ours: Any, theirs: Any, *args: Any, **options: Any) -> None:
    """Assert that two modules give the same outputs and gradients for the same arguments."""
    dtype = next(theirs.parameters()).dtype
    both = zip(results(ours, *args, **options), results(theirs, *args, **options), strict=True)
    for kind, (actual, expected) in zip(("output", "gradient"), both, strict=True):
        assert actual.keys() == expected.keys()
        for name in expected:
            assert_close(actual[name], expected[name], TOLERANCE[kind, dtype], name)


def packed(x: Any, lengths: list[int], *, batch_first: bool = False, sort: bool = False) -> Any:
    """A PackedSequence of padded rows; with `sort` the lengths must fall."""
    return pack_padded_sequence(
        x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=sort
    )
