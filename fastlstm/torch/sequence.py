"""A call of LSTM, GRU or RNN: arguments checked, layers run, the answer laid out as torch's.

T steps, N batch rows, I input_size, H hidden_size, L num_layers, D directions, R output size of
one direction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from fastlstm import kernels
from fastlstm.torch import check, operators
from fastlstm.torch.autocast import lowered, raised, result_dtypes
from fastlstm.torch.dispatch import uncompiled
from fastlstm.torch.function import Layer, run
from fastlstm.torch.layout import Packed
from fastlstm.torch.packed import padding_of
from fastlstm.torch.precision import check_inference, precision_of
from fastlstm.torch.reset import Cuts, Read, Starts, read_cuts, read_starts
from fastlstm.torch.weights import Five, sequence_weights


class Ready(NamedTuple):
    """A checked call of a module."""

    cell: kernels.CellSpec
    weights: list[Five]  # of each layer and direction
    x: Tensor  # as the caller gave it, with a batch axis; of a PackedSequence its data
    states: list[Tensor] | None  # [L*D,N,R or H] each, in the layout's order; None for zeros
    layout: Any  # what `layout_of` returned: `Padded`, of x with its steps first, and of y
    batch_first: bool  # of x
    dtypes: list[torch.dtype] | None  # of the last states (y has the first's) under autocast
    precision: str  # of the products
    reset: Read  # of nothing where rows do not start anew
    starts: Starts | None = None  # the same for `function`; an operator has it in its layout


def prepare(
    module: torch.nn.RNNBase,
    input: Any,
    hx: Any,
    lengths: Any,
    layout_of: Callable[[Any, int, int], Any] = check.read_lengths,
    cuts: Cuts | None = None,
) -> Ready:
    """Check a call of a sequence module; `layout_of` takes the lengths, T and N of padded rows."""
    name, cell = module.mode.partition("_")[0], kernels.CELLS[module.mode.lower()]
    check.check_parts(module, name)
    weights, precision = sequence_weights(module), precision_of(module)
    check.check_sizes(module, name, len(cell.gates), weights)
    dtype, every = weights[0][0].dtype, [w for five in weights for w in five]
    check.check_weights(name, every, dtype)
    states = check.split_states(name, hx, len(cell.states))
    low, dtypes = lowered(dtype), None
    if low is not None:
        data = input.data if isinstance(input, PackedSequence) else input
        given = [t.dtype for t in states or [data] * len(cell.states)]
        input, states = raised(input), states and [raised(s) for s in states]
    x, states, layout, batch_first = _read(module, name, input, states, lengths, dtype, layout_of)
    check_inference(name, precision, x, states or (), every)
    reset = Read()
    if cuts is not None:
        reset = _read_reset(module, name, input, x, lengths, cuts)
        if reset.ended is not None and states is not None:
            states = [reset.ended.before(s) for s in states]
    if low is not None:
        fused, projected = not isinstance(layout, Packed), module.proj_size > 0
        dtypes = result_dtypes(cell.name, low, given, fused=fused, projected=projected)
    return Ready(cell, weights, x, states, layout, batch_first, dtypes, precision, reset)


def _read_reset(
    module: torch.nn.RNNBase, name: str, input: Any, x: Tensor, lengths: Any, cuts: Cuts
) -> Read:
    """Return the checked cuts of a call; x is the input with a batch axis."""
    if isinstance(input, PackedSequence):
        raise _not_packed(name, "reset")
    order = "T" if input.dim() == 2 else "NT" if module.batch_first else "TN"
    T, N = (x.shape[1], x.shape[0]) if order == "NT" else (x.shape[0], x.shape[1])
    directions = 2 if module.bidirectional else 1
    return read_cuts(name, cuts, (T, N), order, lengths, directions, x.is_meta)


def _not_packed(name: str, what: str) -> ValueError:
    return ValueError(f"{name}: {what} is given, expected None with a PackedSequence")


def check_beside(module: torch.nn.RNNBase, input: Any, lengths: Any, cuts: Cuts | None) -> None:
    """Check what torch's own module, which has answered for an `input`, has not been told."""
    name = module.mode.partition("_")[0]
    if isinstance(input, PackedSequence):
        if lengths is not None or cuts is not None:
            raise _not_packed(name, "reset" if lengths is None else "lengths")
        return
    x = input if input.dim() == 3 else input.unsqueeze(1)
    if lengths is not None:
        rows_first = module.batch_first and input.dim() == 3
        check.check_lengths_beside(lengths, x.shape[rows_first], x.shape[not rows_first])
    if cuts is not None:
        _read_reset(module, name, input, x, None, cuts)


def _read(
    module: torch.nn.RNNBase,
    name: str,
    input: Any,
    states: Any,
    lengths: Any,
    dtype: torch.dtype,
    layout_of: Callable[[Any, int, int], Any],
) -> tuple[Tensor, list[Tensor] | None, Any, bool]:
    """Return the checked input with a batch axis, the states of hx, the layout, batch_first."""
    x, order, batch_first = input, None, False
    if isinstance(input, PackedSequence):
        if lengths is not None:
            raise _not_packed(name, "lengths")
        x, order, batched = input.data, input.sorted_indices, True
        check.check_input(name, x, dtype, module.input_size, (2,))
        layout = check.read_packed(name, input)
        N = layout.rows.N
    else:
        check.check_input(name, x, dtype, module.input_size, (2, 3))
        batched = x.dim() == 3
        if not batched:
            x = x.unsqueeze(1)
        T, N, _ = x.shape
        if batched and module.batch_first:
            T, N, batch_first = N, T, True
        layout = layout_of(lengths, T, N)
    if states is not None:
        check.check_states(name, states, dtype, 3 if batched else 2)
        states = states if batched else [s.unsqueeze(1) for s in states]
        shape = module.num_layers * (2 if module.bidirectional else 1), N
        sizes = module.proj_size or module.hidden_size, module.hidden_size
        check.check_state_sizes(states, [(*shape, size) for size in sizes[: len(states)]])
        if order is not None:
            states = [s.index_select(1, order) for s in states]
    return x, states, layout, batch_first


@uncompiled
def run_sequence(
    module: torch.nn.RNNBase, input: Any, hx: Any, lengths: Any, cuts: Cuts | None = None
) -> Any:
    """Return what torch's module would: (output, hx_n)."""
    ready = prepare(module, input, hx, lengths, cuts=cuts)
    if ready.reset.mask is not None:
        starts = read_starts(ready.reset.mask, ready.layout.rows, 2 if module.bidirectional else 1)
        ready = ready._replace(starts=starts)
    x = ready.x.transpose(0, 1) if ready.batch_first else ready.x
    y, ends = _run_layers(module, ready, x, run, kernels.backend())
    return _answer(module, input, ready, y.transpose(0, 1) if ready.batch_first else y, ends)


def run_operators(
    module: torch.nn.RNNBase,
    input: Tensor,
    hx: Any,
    lengths: Any = None,
    cuts: Cuts | None = None,
) -> Any:
    """Return what `run_sequence` does, by one operator for each layer."""
    ready = prepare(module, input, hx, lengths, operators.layout_of, cuts)
    # Dropout draws its numbers in the order of memory, as `run_sequence` has it.
    turned = ready.batch_first and module.dropout > 0 and module.training
    layout = operators.Whole(
        ready.batch_first and not turned, ready.layout.lengths, ready.reset.mask
    )
    x = ready.x.transpose(0, 1) if turned else ready.x
    y, ends = _run_layers(module, ready._replace(layout=layout), x, operators.run, None)
    return _answer(module, input, ready, y.transpose(0, 1) if turned else y, ends)


def run_padded(module: torch.nn.RNNBase, input: PackedSequence, hx: Any) -> Any:
    """Return what `run_sequence` does for a PackedSequence, by `run_operators`."""
    _, sizes, order, back = input
    states = check.split_states(module.mode, hx, len(kernels.CELLS[module.mode.lower()].states))
    padding = padding_of(module, input, states)
    if order is not None and states is not None:
        N = order.shape[0]
        check.check_state_sizes(states, [(s.shape[0], N, s.shape[2]) for s in states])
        states = [s.index_select(1, order) for s in states]
    if states is not None:
        hx = tuple(states) if len(states) > 1 else states[0]
    y, ends = run_operators(module, padding.pad(input.data), hx, padding.lengths)
    if back is not None:
        turned = [s.index_select(1, back) for s in (ends if module.mode == "LSTM" else (ends,))]
        ends = tuple(turned) if module.mode == "LSTM" else turned[0]
    return PackedSequence(padding.pack(y), sizes, order, back), ends


def _run_layers(
    module: torch.nn.RNNBase,
    ready: Ready,
    x: Tensor,
    run: Callable[..., tuple[Tensor, ...]],
    backend: Any,
) -> tuple[Tensor, list[Tensor]]:
    """Return y of the last layer, and the last states [L*D,N,R or H] of all.

    `run` is that of `function`, or that of `operators`, which takes no backend.
    """
    cell, weights, states, precision = ready.cell, ready.weights, ready.states, ready.precision
    L, D = module.num_layers, 2 if module.bidirectional else 1
    starts: list[Any] = [(None,) * len(cell.states)] * L
    if states is not None:
        # slices: torch lets nobody change the views of split() in place
        starts = [[s[k * D : (k + 1) * D] for s in states] for k in range(L)]
    ends = []
    for k in range(L):
        last = k == L - 1
        rows_first = module.batch_first and last
        layer = Layer(cell, backend, ready.layout, rows_first, precision, ready.starts)
        five = [w for part in weights[k * D : (k + 1) * D] for w in part]
        try:
            x, *end = run(layer, x, starts[k], five)
        except ValueError as error:
            if precision != "int8":
                raise
            raise ValueError(f"{type(module).__name__}: layer {k}: {error}") from None
        ends.append(end)
        if module.dropout and module.training and not last:
            x = F.dropout(x, module.dropout, True)
    if L == 1:
        return x, ends[0]
    return x, [torch.cat(parts) for parts in zip(*ends, strict=True)]


def _answer(
    module: torch.nn.RNNBase, input: Any, ready: Ready, y: Tensor, ends: list[Tensor]
) -> Any:
    """Return y and the last states as torch's module does: laid out as the input was."""
    if ready.reset.ended is not None:
        ends = [ready.reset.ended.after(s) for s in ends]
    if ready.dtypes is not None:
        y = y.to(ready.dtypes[0])
        ends = [s.to(dtype) for s, dtype in zip(ends, ready.dtypes, strict=True)]
    output: Any = y
    if isinstance(input, PackedSequence):
        _, sizes, order, back = input
        output = PackedSequence(y, sizes, order, back)
        if back is not None:
            ends = [s.index_select(1, back) for s in ends]
    elif input.dim() == 2:
        output, ends = y.squeeze(1), [s.squeeze(1) for s in ends]
    return output, tuple(ends) if module.mode == "LSTM" else ends[0]
