"""A layer in torch's own operations, for a backward pass that a kernel cannot do.

That is one that is recorded to be differentiated again, runs for many gradients at once, or runs
under a mode that watches operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from fastlstm.kernels import CellSpec, Rows
from fastlstm.torch.held import FIELDS, Tensors
from fastlstm.torch.layout import OneStep, Packed, PackedEven
from fastlstm.torch.steps import run_steps


def gradients(
    layer: Any, tensors: Tensors, grads: Tensors, needs: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients of the tensors of a `function.Layer` that `needs` asks for, else None.

    `grads` are those of y and of the last states, None where there is none.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # views, so that a tensor that is given twice has a gradient in each place
        given = [None if t is None else t.view_as(t) for t in tensors]
        for t, n in zip(given, needs, strict=True):
            if n and t is not None and not t.requires_grad:
                t.requires_grad_()  # it was frozen since forward
        outputs = outputs_of(layer, given)
    asked = [t for t, n in zip(given, needs, strict=True) if n and t is not None]
    pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None]
    found = iter(
        torch.autograd.grad(
            [o for o, _ in pairs],
            asked,
            [g for _, g in pairs],
            create_graph=again,
            allow_unused=True,
        )
    )
    return [next(found) if n else None for n in needs]


def outputs_of(layer: Any, tensors: Sequence[Any]) -> list[Tensor]:
    """Return y and the last states; y of one step is its h."""
    layout, rows = layer.layout, layer.layout.rows
    cell: CellSpec = layer.cell
    if cell.usual and cell.name == "lstm" and tensors[0].dtype is not torch.float64:
        # torch's fused LSTM, which has no second derivative, is of float32 only
        doubled = outputs_of(layer, [None if t is None else t.double() for t in tensors])
        return [t.to(tensors[0].dtype) for t in doubled]
    x, states, weights = _parts(layer, tensors)
    recurrent = partial(_run, cell, weights)
    if layer.starts is not None:
        return _step_by_step(layer, x, states, weights)
    if isinstance(layout, OneStep):
        return [t[0] for t in recurrent(x.unsqueeze(0), [s.unsqueeze(0) for s in states])]
    if isinstance(layout, Packed):
        return recurrent(x, states, torch.from_numpy(rows.n_at))
    if isinstance(layout, PackedEven):
        y, *ends = recurrent(x.view(rows.T, rows.N, -1), states)
        return [y.flatten(0, 1), *ends]
    return recurrent(x, states) if rows.full else _of_ragged(recurrent, rows, x, states)


def _parts(layer: Any, tensors: Tensors) -> tuple[Tensor, list[Tensor], Tensors]:
    """Return x, the initial states and the weights."""
    cell, N = layer.cell, layer.layout.rows.N
    x, weights = tensors[0], tensors[1 + len(cell.states) :]
    w_hh = weights[1]
    assert x is not None
    assert w_hh is not None
    sizes = w_hh.shape[1], w_hh.shape[0] // len(cell.gates)
    D = () if isinstance(layer.layout, OneStep) else (len(weights) // FIELDS,)
    given = zip(tensors[1 : 1 + len(cell.states)], sizes, strict=False)
    return x, [x.new_zeros(*D, N, K) if s is None else s for s, K in given], weights


def _run(
    cell: CellSpec, weights: Tensors, x: Tensor, states: list[Tensor], sizes: Tensor | None = None
) -> list[Tensor]:
    """Return y and the last states of one layer; with `sizes` x and y are data of packed rows."""
    if not cell.usual or cell.name == "gru_reset_before":
        return run_steps(cell, x, states, weights, sizes)
    function, hx = getattr(torch._VF, cell.name), states if cell.name == "lstm" else states[0]
    given, both = [w for w in weights if w is not None], len(weights) > FIELDS
    options = weights[2] is not None, 1, 0.0, False, both  # biases, layers, dropout, training
    if sizes is None:
        return list(function(x, hx, given, *options, False))
    return list(function(x, sizes, hx, given, *options))


def _step_by_step(layer: Any, x: Tensor, states: list[Tensor], weights: Tensors) -> list[Tensor]:
    """Padded rows that start anew at some steps: y and the last states."""
    alive = torch.from_numpy(np.arange(layer.layout.rows.T)[:, None] < layer.layout.rows.lengths)
    outputs, ends = [], []
    for d, starts in enumerate(layer.starts):
        own, anew = weights[d * FIELDS : (d + 1) * FIELDS], torch.from_numpy(starts)
        current, ys = [s[d : d + 1] for s in states], []
        for t in range(len(x))[:: -1 if d else 1]:
            before = [s.masked_fill(anew[t][None, :, None], 0) for s in current]
            y, *after = _run(layer.cell, own, x[t : t + 1], before)
            here = alive[t][None, :, None]
            ys.append(torch.where(here, y, torch.zeros_like(y)))
            current = [torch.where(here, a, s) for a, s in zip(after, current, strict=True)]
        outputs.append(torch.cat(ys[:: -1 if d else 1]))
        ends.append(current)
    return [torch.cat(outputs, 2), *(torch.cat(parts) for parts in zip(*ends, strict=True))]


def _of_ragged(recurrent: Any, rows: Rows, x: Tensor, states: list[Tensor]) -> list[Tensor]:
    """Padded rows of any lengths: those that have a step run packed, the others keep their state.

    There is at least one that has, as gradients are asked for only through a row with steps.
    """
    alive = torch.from_numpy(rows.order[: rows.n_at[0]])
    lengths = torch.from_numpy(rows.lengths)[alive]
    data, sizes, *_ = pack_padded_sequence(x[:, alive], lengths)
    y, *ends = recurrent(data, [s[:, alive] for s in states], sizes)
    padded, _ = pad_packed_sequence(PackedSequence(y, sizes), total_length=rows.T)
    whole = padded.new_zeros(rows.T, rows.N, padded.shape[2])
    return [
        whole.index_copy(1, alive, padded),
        *(s.index_copy(1, alive, e) for s, e in zip(states, ends, strict=True)),
    ]
