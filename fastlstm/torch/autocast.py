"""torch.autocast: computed in float32, returned in the dtypes that torch's own modules return.

They differ from cell to cell: autocast lowers products, and the sum of a lowered product and a
state takes the wider dtype of the two.
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
    """Return the dtypes of the last states under autocast; y has that of the first.

    `states` are the dtypes of the initial states, or of the input where there are none. `fused`:
    torch gives such an input to oneDNN if the cell is an LSTM without a projection.
    """
    if cell in ("rnn_tanh", "rnn_relu") or (cell == "lstm" and fused and not projected):
        return [low] * len(states)
    last = torch.promote_types(low, states[-1])
    if cell == "lstm":
        return [low if projected else last, last]
    return [last]
