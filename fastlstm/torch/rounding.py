"""Rows of numbers as 8 bits and a scale each, in torch's operations.

The definition is `kernels.reference.precision.quantize`, kept to the bit.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from fastlstm.kernels.reference.precision import LARGEST, SMALLEST
from fastlstm.torch.dispatch import recorded, uncompiled

_LARGEST = torch.tensor(float(LARGEST), device="cpu")
_SMALLEST = torch.tensor(float(SMALLEST), device="cpu")
BLOCK = 1 << 17  # numbers of x at a time: what is made of them stays in the processor's cache
EXACT = 1040  # products of two numbers up to 127 that a float32 sum, in any order, holds


def quantize(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 [n,K] and float32 scales [n,1]: NaN of a row with NaN or infinity.

    Of such a row, and of one with a scale of 0, the whole numbers mean nothing.
    """
    most = rows.abs().amax(1, keepdim=True)
    scale = (most / _LARGEST).mul_(most >= _SMALLEST)
    scale += most - most  # 0, or NaN where most is not finite
    # a tensor's division: that of a number by a tensor multiplies by the reciprocal
    return (rows * (_LARGEST / most)).round_().to(torch.int8), scale


def linear(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None, K: int) -> Tensor:
    """Return ``weight @ row + bias`` [n,G] of rows x [n,K]; weight int8 [G,K], its scale [G]."""
    n, block = x.shape[0], max(1, BLOCK // K)
    # When recorded, the number of blocks would be that of the rows at hand.
    if recorded() or 0 < n <= block:
        y = _product(x, weight, scale, K)
        return y if bias is None else y + bias
    # Made first: where there is no memory for it, that is an error at once.
    whole = x.new_empty(n, weight.shape[0])
    for i in range(0, n, block):
        y = _product(x[i : i + block], weight, scale, K)
        whole[i : i + block] = y if bias is None else y.add_(bias)
    return whole


def _product(x: Tensor, weight: Tensor, scale: Tensor, K: int) -> Tensor:
    q, row_scale = quantize(x)
    return _sums(q, weight, K).to(torch.float32).mul_(row_scale * scale)


def _sums(q: Tensor, weight: Tensor, K: int) -> Tensor:
    """Return the exact sums of products of whole numbers, [n,G] of int32 or float64."""
    if K > 1 and exact_int_mm():  # torch 2.13 reads columns of one number wrongly
        sums: Tensor = torch._int_mm(q, weight.t())
        return sums
    total = torch.zeros(q.shape[0], weight.shape[0], dtype=torch.float64)
    for k in range(0, K, EXACT):
        total += q[:, k : k + EXACT].float() @ weight[:, k : k + EXACT].float().t()
    return total


@uncompiled
@cache
def exact_int_mm() -> bool:
    """Whether torch has a product of int8 matrices that never saturates on this processor.

    Without instructions for it, sums of two products may be held in 16 bits. The first call tries
    it out: not while torch records.
    """
    cpu: Any = torch.cpu
    supported = getattr(cpu, "_is_vnni_supported", None)
    if not hasattr(torch, "_int_mm") or supported is None or not supported():
        return False
    most = torch.full((64, 128), 127, dtype=torch.int8, device="cpu")
    try:
        found = torch._int_mm(most, -most.t())
    except RuntimeError:  # of a torch that has it for GPUs alone
        return False
    return bool((found == -128 * 127**2).all())
