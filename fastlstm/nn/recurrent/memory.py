"""How much memory a forward and a backward of a recurrent layer take."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastlstm import kernels
from fastlstm.kernels import Rows
from fastlstm.kernels.sizes import CallSizes, MemoryUse
from fastlstm.nn.recurrent.stack import Stack
from fastlstm.runtime import get_num_threads


class MemoryPlan(NamedTuple):
    """Bytes that are asked for, each at most: see `Recurrent.memory_plan`."""

    forward: int  # while forward runs
    kept: int  # between the two
    backward: int  # while backward runs, what was kept included

    @property
    def peak(self) -> int:
        """The most in use at any time."""
        return max(self.forward, self.backward)


class _Meter:
    """Counts bytes in use, and the most there were at once."""

    def __init__(self, used: int = 0) -> None:
        self.used = self.most = used

    def add(self, size: int) -> None:
        self.used += size
        self.most = max(self.most, self.used)

    def for_now(self, size: int) -> None:
        """Count what is freed again at once."""
        self.most = max(self.most, self.used + size)


def plan(stack: Stack, rows: Rows, tokens: int) -> MemoryPlan:
    """Follow `walk.run_forward` and `walk.run_backward` through what they allocate and free."""
    item, steps, D = stack.dtype.itemsize, rows.T * rows.N, stack._directions
    states = item * len(stack._suffixes) * rows.N * sum(stack._state_sizes())
    y, dx = item * steps * stack._width, item * (tokens or steps) * stack.input_size
    uses, last, mask = _uses(stack, rows, tokens), stack.num_layers - 1, y if stack.dropout else 0
    if mask and stack.variational:
        mask //= rows.T
    weights = stack._cell.gate_rows(stack.hidden_size) * stack._size if stack.weight_drop else 0
    dropped = item * weights
    meter = _Meter(2 * states + dropped * D * len(uses))  # initial and last states; masks
    meter.for_now(weights * 5)  # float32 draws, then a byte each
    for layer, use in enumerate(uses):
        meter.add(y)
        for _ in range(D):
            meter.for_now(dropped + use.kept + use.forward)
            meter.add(dropped + use.kept)  # the weights that were not dropped, and what is saved
        if layer < last and mask:
            draws = mask // item  # float32 each, then a byte each
            meter.for_now(draws * 5)
            meter.for_now(draws + mask)
            meter.add(mask + y)  # the mask, and y times it
    forward, kept = meter.most, meter.used
    meter = _Meter(kept + 2 * states)  # the gradients of both
    for layer in reversed(range(stack.num_layers)):
        meter.add(y if layer else dx)
        for _ in range(D):
            meter.for_now(2 * dropped + uses[layer].backward)  # their gradient, whole and masked
            meter.used -= uses[layer].kept
        if layer:
            meter.used -= mask  # its input, where that is a product with a mask
        if layer < last:
            meter.used -= 2 * y  # its own y, and the gradient of it
    return MemoryPlan(forward, kept, meter.most)


def _uses(stack: Stack, rows: Rows, tokens: int) -> list[MemoryUse]:
    """Return what a kernel takes for each layer, in each of its directions."""
    options: Any = {
        "mask": stack.recurrent_dropout > 0,
        "recompute": stack.recompute,
        "dtype": stack.dtype,
        "n_threads": get_num_threads(),
        "precision": stack.precision,
    }
    inputs = [(stack.input_size, tokens), *[(stack._width, 0)] * (stack.num_layers - 1)]
    memory, H, proj = kernels.backend(stack._backend).memory, stack.hidden_size, stack.proj_size
    sizes = (CallSizes(rows, size, H, proj, tokens=table, **options) for size, table in inputs)
    return [memory(stack._cell, size) for size in sizes]
