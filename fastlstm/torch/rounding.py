"""Rows of numbers as 8 bits and a scale each, in torch's operations.

The definition is `kernels.reference.precision.quantize`, kept to the bit.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from fastlstm.kernels.reference.precision import LARGEST, SMALLEST

EXACT = 1040  # products of two numbers up to 127 that a float32 sum, in any order, holds


def quantize(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 [n,K] and float32 scales [n,1]: NaN of a row with NaN or infinity."""
    if not rows.numel():
        return rows.to(torch.int8), rows.new_zeros(rows.shape[0], 1)
    most = rows.abs().amax(1, keepdim=True)
    none = torch.zeros((), dtype=rows.dtype)
    counts = most >= float(SMALLEST)
    factor = torch.where(counts, float(LARGEST) / most, none)
    # most - most is 0, or NaN where most is not finite; whole numbers of such a row mean nothing
    scale = torch.where(counts, most / float(LARGEST), none) + (most - most)
    return (rows * factor).round_().to(torch.int8), scale


def product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """Return ``weight @ row`` [n,G] of rows x [n,K], from weight int8 [G,K] and its scale [G]."""
    q, row_scale = quantize(x)
    return _sums(q, weight).to(torch.float32).mul_(row_scale * scale)


def _sums(q: Tensor, weight: Tensor) -> Tensor:
    """Return the exact sums of products of whole numbers, [n,G]."""
    if q.shape[1] > 1 and _exact_int_mm():  # torch 2.13 reads columns of one number wrongly
        sums: Tensor = torch._int_mm(q, weight.t())
        return sums
    total = torch.zeros(q.shape[0], weight.shape[0], dtype=torch.float64)
    for k in range(0, q.shape[1], EXACT):
        total += q[:, k : k + EXACT].float() @ weight[:, k : k + EXACT].float().t()
    return total


@cache
def _exact_int_mm() -> bool:
    """Whether torch has a product of int8 matrices that never saturates on this processor.

    Without instructions for it, sums of two products may be held in 16 bits.
    """
    cpu: Any = torch.cpu
    supported = getattr(cpu, "_is_vnni_supported", None)
    if not hasattr(torch, "_int_mm") or supported is None or not supported():
        return False
    most = torch.full((64, 128), 127, dtype=torch.int8)
    try:
        found = torch._int_mm(most, -most.t())
    except RuntimeError:  # of a torch that has it for GPUs alone
        return False
    return bool((found == -128 * 127**2).all())
