"""Which kernel a call will take, and what is copied on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from fastlstm.counts import count_of
from fastlstm.runtime import runtime_info
from fastlstm.torch import cells, quantized, sequence
from fastlstm.torch.cells import GRUCell, LSTMCell, RNNCell
from fastlstm.torch.dispatch import (
    foreign,
    outside_kernels,
    recorded,
    saving_hooked,
    takes_operators,
)
from fastlstm.torch.function import wants_gradient
from fastlstm.torch.held import Tensors
from fastlstm.torch.layout import Packed, array_of, has_contiguous_rows
from fastlstm.torch.modules import GRU, LSTM, RNN
from fastlstm.torch.precision import DEFAULT, precision_of
from fastlstm.torch.quantized.packed import Steps

SEQUENCES: tuple[type[Any], ...] = (LSTM, GRU, RNN, quantized.sequences.Sequence)
CELL_MODULES: tuple[type[Any], ...] = (LSTMCell, GRUCell, RNNCell, quantized.cells.Cell)


@dataclass(frozen=True)
class Explanation:
    """What a call of a module takes; print it.

    Attributes
    ----------
    runs_on : "fastlstm", also "as operators that are recorded"; or "torch" with the reason.
    backend, isa : of fastlstm's kernels: what computes, and in which instructions.
    cell : a name in `fastlstm.kernels.CELLS`.
    dtype : what is computed in.
    precision : of the products: "float32", as everything else is computed, or of rounded factors.
    threads : at most; small work runs on fewer.
    calls : of a kernel: one for each layer and direction.
    batch : rows and steps; "ragged" if not all of the steps are computed.
    keeps : whether arrays are kept for a backward pass.
    copies : what is copied before and after a kernel call, and why.
    """

    runs_on: str
    backend: str
    isa: str
    cell: str
    dtype: str
    precision: str
    threads: int
    calls: int
    batch: str
    keeps: bool
    copies: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"{f.name:<8} {_shown(getattr(self, f.name))}" for f in fields(self))


def explain(module: nn.Module, input: Any, hx: Any = None, *, lengths: Any = None) -> Explanation:
    """Return which kernel ``module(input, hx)`` would take at this place, without running it.

    Parameters
    ----------
    module : one of `fastlstm.torch`, or what `quantize_dynamic` made.
    input, hx, lengths : as the module takes them.

    Raises
    ------
    TypeError
        If the module is not one of `fastlstm.torch`.
    TypeError, ValueError, RuntimeError
        What the call itself would raise.
    """
    if isinstance(module, SEQUENCES):
        cell, calls = module.mode.lower(), module.num_layers * (2 if module.bidirectional else 1)
    elif isinstance(module, CELL_MODULES):
        cell, calls = cells.cell_of(module)[1], 1
        if lengths is not None:
            raise TypeError(f"lengths is given, but {type(module).__name__} takes one step")
    else:
        raise TypeError(
            f"module is a {type(module).__module__}.{type(module).__qualname__}, expected a "
            "module of fastlstm.torch; accelerate(model) makes them of torch's"
        )
    kept = isinstance(module, Steps)
    dtype = "float32" if kept else str(next(module.parameters()).dtype).removeprefix("torch.")
    info = runtime_info()
    by_operators = not kept and takes_operators(input)
    outside = not by_operators and outside_kernels(module, input, hx, lengths)
    precision = DEFAULT if outside else precision_of(module)
    where = info["backend"], info["isa"], cell, dtype, precision, info["threads"], calls
    if by_operators:
        return Explanation("fastlstm, as operators that are recorded", *where, "-", False, ())
    if outside:
        why = "the input is empty"
        if recorded():
            why = "its operations are recorded or transformed"
        elif foreign(module, input, hx):
            why = "a tensor is of a class of its own"
        return Explanation(f"torch: {why}", *where, "-", False, ())
    if isinstance(module, SEQUENCES):
        batch, keeps, copies = _of_sequence(module, input, hx, lengths)
    else:
        batch, keeps, copies = _of_cell(module, input, hx)
    if isinstance(module, Steps) and (lengths is not None or not module.steps_packed(input, hx)):
        copies.append(f"weights: from {module.dtype} to float32")
    return Explanation("fastlstm", *where, batch, keeps, tuple(copies))


def _of_sequence(module: Any, input: Any, hx: Any, lengths: Any) -> tuple[str, bool, list[str]]:
    ready = sequence.prepare(module, input, hx, lengths)
    x, states, layout = ready.x, ready.states, ready.layout
    rows, ragged = layout.rows, isinstance(layout, Packed)
    ordered = isinstance(input, PackedSequence) and input.sorted_indices is not None
    text = f"{count_of(rows.N, 'row')} of {count_of(rows.T, 'step')}"
    if not rows.full:
        text += f", ragged: {rows.total} of {count_of(rows.N * rows.T, 'step')} are computed"
    copies = list(_cast_copies(ready.dtypes))
    if ragged:
        copies.append("input, output: packed rows go to their places in a padded array and back")
    else:
        copies += _row_copies(x)
    if states is not None and ordered:
        copies.append("hx: its rows are put in the order of the PackedSequence")
    else:
        copies += _copies("hx", states or ())
    weights = [w for five in ready.weights for w in five]
    copies += _copies("a parameter", weights)
    return text, _keeps(x, states or (), weights), copies


def _of_cell(module: Any, input: Any, hx: Any) -> tuple[str, bool, list[str]]:
    ready = cells.prepare(module, input, hx)
    states = ready.states or ()
    copies = [*_cast_copies(ready.dtypes), *_row_copies(ready.input), *_copies("hx", states)]
    copies += _copies("a parameter", ready.weights)
    keeps = _keeps(ready.input, states, ready.weights)
    return f"{count_of(ready.input.shape[0], 'row')} of 1 step", keeps, copies


def _keeps(x: Tensor, states: Tensors, weights: Tensors) -> bool:
    return wants_gradient(x, states, weights) and not saving_hooked()


def _cast_copies(dtypes: list[torch.dtype] | None) -> Iterator[str]:
    """Yield the copies for autocast, which wants results in `dtypes`."""
    if dtypes is not None:
        names = sorted({str(d).removeprefix("torch.") for d in dtypes})
        yield f"input, hx, output: to float32 and from it to {', '.join(names)} for autocast"


def _row_copies(x: Tensor) -> Iterator[str]:
    if x.is_neg():
        yield "input: its values wait to be negated"
    if not has_contiguous_rows(array_of(x)):
        yield f"input: the stride of its last axis is {x.stride(-1)}, not 1"


def _copies(what: str, tensors: Tensors) -> Iterator[str]:
    for tensor in tensors:
        if tensor is not None and tensor.is_neg():
            yield f"{what} {tuple(tensor.shape)}: its values wait to be negated"
        elif tensor is not None and not tensor.is_contiguous():
            shape = tuple(tensor.shape)
            yield f"{what} {shape}: it is not contiguous, its strides are {tensor.stride()}"


def _shown(value: Any) -> str:
    return "; ".join(value) or "none" if isinstance(value, tuple) else str(value)
