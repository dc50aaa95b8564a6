"""How much memory a forward and a backward of a recurrent layer take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels import MemoryUse, Rows, Sizes
from fastlstm.nn.recurrent.stack import Stack
from fastlstm.runtime import get_num_threads


class MemoryPlan(NamedTuple):
    """Bytes, each at most: see `Recurrent.memory_plan`."""

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


class _Sizes(NamedTuple):
    """Bytes of the arrays of a layer."""

    states: int  # of all layers and directions
    y: int
    dx: int
    mask: int  # of dropout, 0 without
    uses: list[MemoryUse]  # of each layer, in each of its directions


def plan(stack: Stack, rows: Rows, tokens: int) -> MemoryPlan:
    """Follow `walk.run_forward` and `walk.run_backward` through what they allocate and free."""
    sizes, D, last = _sizes(stack, rows, tokens), stack._directions, stack.num_layers - 1
    meter = _Meter(2 * sizes.states)  # before and after
    for layer, use in enumerate(sizes.uses):
        meter.add(sizes.y)
        for _ in range(D):
            meter.for_now(use.kept + use.forward)
            meter.add(use.kept)
        if layer < last and sizes.mask:
            _add_mask(meter, rows.T * rows.N * stack._width, sizes.mask)
    forward, kept = meter.most, meter.used
    meter = _Meter(kept + 2 * sizes.states)  # the gradients of both
    for layer in reversed(range(stack.num_layers)):
        meter.add(sizes.y if layer else sizes.dx)
        for _ in range(D):
            meter.for_now(sizes.uses[layer].backward)
            meter.used -= sizes.uses[layer].kept
        if layer:
            meter.used -= sizes.mask  # its input, where that is a product with a mask
        if layer < last:
            meter.used -= 2 * sizes.y  # its own y, and the gradient of it
    return MemoryPlan(forward, kept, meter.most)


def _sizes(stack: Stack, rows: Rows, tokens: int) -> _Sizes:
    item, steps = stack.dtype.itemsize, rows.T * rows.N
    y = item * steps * stack._width
    inputs = [stack.input_size, *[stack._width] * (stack.num_layers - 1)]
    memory = kernels.backend(stack._backend).memory
    return _Sizes(
        states=item * len(stack._suffixes) * rows.N * sum(stack._state_sizes()),
        y=y,
        dx=item * (tokens or steps) * stack.input_size,
        mask=y if stack.dropout else 0,
        uses=[
            memory(
                stack._cell,
                Sizes(
                    rows,
                    input_size,
                    stack.hidden_size,
                    stack.proj_size,
                    tokens=0 if layer else tokens,
                    mask=stack.recurrent_dropout > 0,
                    recompute=stack.recompute,
                    dtype=stack.dtype,
                    n_threads=get_num_threads(),
                ),
            )
            for layer, input_size in enumerate(inputs)
        ],
    )


def _add_mask(meter: _Meter, elements: int, mask: int) -> None:
    """Count the mask, on the way to it random numbers and what they say, and y times it."""
    meter.for_now(elements * (np.dtype(np.float32).itemsize + 1))
    meter.for_now(elements + mask)
    meter.add(2 * mask)
