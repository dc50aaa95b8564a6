"""Floating point operations of the operators, as `torch.utils.flop_counter` counts: of products.

As of torch's own modules in float64, whose products it sees one by one. What forward computes a
second time is not counted, and padding is: of lengths nobody knows here what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

Shape = Sequence[Any]


def forward_flops(x: Shape, weights: Sequence[Shape]) -> int:
    """Return those of all products of a forward pass."""
    total: int = 2 * x[0] * x[1] * sum(w[0] * w[1] for w in weights if len(w) == 2)
    return total


def backward_flops(
    x: Shape, weights: Sequence[Shape], batch_first: bool, bidirectional: bool, needs: list[bool]
) -> int:
    """Return those of a backward pass; `needs` as of the operator."""
    N, T = x[:2] if batch_first else (x[1], x[0])
    D = 1 + bidirectional
    count = len(weights) // D
    states, own = any(needs[1 : -len(weights)]), needs[-len(weights) :]
    total = 0
    for i in range(0, len(weights), count):
        w_ih, w_hh = weights[i], weights[i + 1]
        total += w_ih[0] * w_ih[1] * T * (needs[0] + own[i])
        total += w_hh[0] * w_hh[1] * (T * own[i + 1] + T - 1 + states)
        if count % 2:  # a projection
            w_hr = weights[i + count - 1]
            total += w_hr[0] * w_hr[1] * T * (1 + own[i + count - 1])
    result: int = 2 * N * total
    return result


def register(cell: str, states: int) -> None:
    """Register both formulas for the operators of a cell."""

    def forward(x: Shape, *args: Any, **_: Any) -> int:
        return forward_flops(x, args[states])

    def backward(*args: Any, **_: Any) -> int:
        x, *rest = args[states + 3 :]  # after the gradients, y and the marker
        weights, batch_first, bidirectional, _, needs = rest[states : states + 5]
        return backward_flops(x, weights, batch_first, bidirectional, needs)

    operators: Any = torch.ops.fastlstm
    register_flop_formula(getattr(operators, cell))(forward)
    register_flop_formula(getattr(operators, f"{cell}_backward"))(backward)
