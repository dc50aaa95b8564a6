"""torch.autocast: computed in float32, returned in the dtypes that torch's own modules return.

Those follow from which of torch's operations autocast lowers, so they differ from cell to cell: a
product is lowered; a sum of a lowered product with a state that is not takes the wider of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def lowered(dtype: torch.dtype) -> torch.dtype | None:
    """Return what autocast lowers CPU parameters of `dtype` to; None if it leaves them."""
    if dtype is not torch.float32 or not torch.is_autocast_enabled("cpu"):
        return None
    return torch.get_autocast_dtype("cpu")


def raised(value: Any) -> Any:
    """Return a tensor or PackedSequence that autocast may have lowered in float32 again."""
    data = value.data if isinstance(value, PackedSequence) else value
    if isinstance(data, Tensor) and data.dtype in (torch.bfloat16, torch.float16):
        return value.float()
    return value


def result_dtypes(
    cell: str, low: torch.dtype, states: Sequence[torch.dtype], *, fused: bool, projected: bool
) -> list[torch.dtype]:
    """Return the dtypes of the last states under autocast; that of y is that of the first.

    Parameters
    ----------
    cell : a name in `kernels.CELLS`.
    low : what autocast lowers to.
    states : dtypes of the initial states; of the input where there are none.
    fused : the input is one that torch gives to oneDNN as a whole if the cell is an LSTM.
    projected : the LSTM has a projection, which oneDNN does not take.
    """
    if cell in ("rnn_tanh", "rnn_relu") or (cell == "lstm" and fused and not projected):
        return [low] * len(states)
    last = torch.promote_types(low, states[-1])
    if cell == "lstm":
        return [low if projected else last, last]
    return [last]
