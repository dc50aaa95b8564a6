"""A PackedSequence where a module is compiled: its rows are padded, and what comes out is packed.

The operator of a layer takes padded rows and their lengths. How many rows a step has stands in
batch_sizes, which the compiler does not look into; but it knows how many steps and numbers there
are, and from the indices or from the states how many rows. That is all that the shapes need.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from fastlstm.torch import check
from fastlstm.torch.autocast import lowered
from fastlstm.torch.dispatch import takes_operators


class Padding(NamedTuple):
    """Where the numbers of a PackedSequence stand in padded rows."""

    lengths: Tensor  # [N]
    place: Tensor  # [total], among T * N
    shape: tuple[Any, Any]  # (T, N), with batch_first (N, T)

    def pad(self, data: Tensor) -> Tensor:
        """Return data [total,I] as [T,N,I] or [N,T,I], zero past the lengths."""
        rows, steps = self.shape
        padded = data.new_zeros(rows * steps, data.shape[1])
        return padded.index_copy(0, self.place, data).reshape(rows, steps, -1)

    def pack(self, padded: Tensor) -> Tensor:
        """Return the numbers of real steps, [total,R]."""
        return padded.flatten(0, 1).index_select(0, self.place)


def padded_in_graph(module: torch.nn.RNNBase, input: PackedSequence, hx: Any) -> bool:
    """Whether a compiled call can be padded: not where no shape tells how many rows there are.

    Nor under autocast, whose dtypes of packed rows are others, nor in an exported program.
    """
    if not torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return False
    if input.sorted_indices is None and hx is None:
        return False
    return takes_operators(input.data) and lowered(_dtype(module)) is None


def padding_of(
    module: torch.nn.RNNBase, input: PackedSequence, states: list[Tensor] | None
) -> Padding:
    """Return how the rows of a packed input are padded, after checking what shapes tell."""
    data, sizes, order, _ = input
    name = module.mode.partition("_")[0]
    check.check_input(name, data, _dtype(module), module.input_size, (2,))
    if states is not None:
        check.check_states(name, states, data.dtype, 3)
    if order is not None:
        N = order.shape[0]
    else:
        assert states is not None  # or there is no padding: see `padded_in_graph`
        N = states[0].shape[1]
    message = f"{name}: hx has another number of rows than the first step of the PackedSequence"
    torch._assert_async(sizes[0] == N, message)  # no shape tells, and places would be others
    return _padding(sizes, N, data.shape[0], module.batch_first)


def _dtype(module: torch.nn.RNNBase) -> torch.dtype:
    weight: Any = module.weight_ih_l0
    found: torch.dtype = weight.dtype
    return found


def _padding(sizes: Tensor, N: Any, total: Any, batch_first: bool) -> Padding:
    T, ends, number = sizes.shape[0], sizes.cumsum(0), torch.arange(total)
    step = torch.searchsorted(ends, number, right=True)
    row = number - (ends - sizes)[step]
    lengths = (torch.arange(N) < sizes[:, None]).sum(0)
    if batch_first:
        return Padding(lengths, row * T + step, (N, T))
    return Padding(lengths, step * N + row, (T, N))
