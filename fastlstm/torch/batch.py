"""The arguments of a sequence module, checked and as [T,N,...]; letters as in `modules`."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from fastlstm.torch import check
from fastlstm.torch.layout import Padded


class Batch(NamedTuple):
    """A checked call of a sequence module."""

    x: Tensor  # as the layout has it
    states: list[Tensor] | None  # [L*D,N,R or H] each, in the layout's order; None for zeros
    layout: Padded  # of x and y


def read_batch(
    module: torch.nn.RNNBase, input: Any, states: list[Any] | None, lengths: Any, dtype: torch.dtype
) -> Batch:
    """Check a call of a module whose parameters have `dtype`; `states` are those of hx."""
    name, x, order = module_name(module), input, None
    if isinstance(input, PackedSequence):
        if lengths is not None:
            raise ValueError(f"{name}: lengths is given, expected None with a PackedSequence")
        x, order, batched = input.data, input.sorted_indices, True
        check.check_input(name, x, dtype, module.input_size, (2,))
        layout = check.read_packed(name, input)
    else:
        check.check_input(name, x, dtype, module.input_size, (2, 3))
        batched = x.dim() == 3
        if not batched:
            x = x.unsqueeze(1)
        elif module.batch_first:
            x = x.transpose(0, 1)
        layout = check.read_lengths(lengths, x.shape[0], x.shape[1])
    if states is not None:
        check.check_states(name, states, dtype, 3 if batched else 2)
        states = states if batched else [s.unsqueeze(1) for s in states]
        check.check_state_sizes(states, state_shapes(module, layout.rows.N))
        if order is not None:
            states = [s.index_select(1, order) for s in states]
    return Batch(x, states, layout)


def state_shapes(module: torch.nn.RNNBase, N: int) -> list[tuple[int, int, int]]:
    """Return the shapes of the states of all layers and directions."""
    count = module.num_layers * (2 if module.bidirectional else 1)
    h = (count, N, module.proj_size or module.hidden_size)
    return [h, (count, N, module.hidden_size)] if module.mode == "LSTM" else [h]


def module_name(module: torch.nn.RNNBase) -> str:
    """Return the name of torch's class."""
    return str(module.mode).partition("_")[0]
