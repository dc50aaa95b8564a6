"""One layer, both of its directions, as an operation of torch's autograd.

T steps, N batch rows, I input size, R output size of one direction, D directions. The tensors of
a layer are x, its states ([D,N,K] each, None for zeros), then for each direction the five of
`kernels.Weights` (None for those it lacks), in that order everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastlstm.kernels import Array, Backend, Call, CellSpec, Gradients, States, Weights
from fastlstm.kernels.call import Reset
from fastlstm.kernels.dense import dense
from fastlstm.kernels.rows import full_rows
from fastlstm.runtime import get_num_threads
from fastlstm.torch import operations
from fastlstm.torch.dispatch import plain_gradients, saving_hooked
from fastlstm.torch.engine import straight
from fastlstm.torch.held import FIELDS, Tensors, hold, unread
from fastlstm.torch.layout import TYPES, Padded, array_of, contiguous_rows, weight_array
from fastlstm.torch.reset import Starts


class Layer(NamedTuple):
    """What a layer is run with beside its tensors."""

    cell: CellSpec
    backend: Any  # `Backend`; None for an operator, which asks for it when it runs
    layout: Any  # `Padded`: how x and y lie in memory, and the lengths; `operators.Whole`
    rows_first: bool = False  # y is wanted as [N,T,...] in memory
    precision: str = "float32"  # of the products
    starts: Starts | None = None  # the steps that start anew from zeros, of each direction


class Saved(NamedTuple):
    """What forward keeps for one backward pass."""

    parts: list[Any]  # of each direction
    y: Tensor | None  # the caller's, where the kernel reads it again
    version: int  # of y

    def changed(self) -> bool:
        """Whether the caller wrote to y."""
        return self.y is not None and self.y._version != self.version


def run(layer: Layer, x: Tensor, states: Tensors, weights: Tensors) -> tuple[Tensor, ...]:
    """Return y and the last states; inside autograd where a gradient may be asked for.

    x is [T,N,I] and y [T,N,D*R], or as the layout has them. The y of a cell is not to be used.
    """
    if wants_gradient(x, states, weights):
        outputs: tuple[Tensor, ...] = Recurrent.apply(layer, x, *states, *weights)
        return outputs
    return forward_layer(layer, (x, *states, *weights), save=False)[0]


def run_step(
    cell: CellSpec,
    backend: Backend,
    x: Tensor,
    states: Tensors,
    weights: Tensors,
    precision: str = "float32",
) -> list[Tensor]:
    """Return the new states of a cell, x [N,I] and states [N,K]; nothing is kept.

    As `run` for `layout.OneStep`, but sooner: for one row the way to the kernel takes longest.
    """
    (part,) = _weights(weights)
    N, dtype = x.shape[0], part.w_hh.dtype
    H = part.w_hh.shape[1]
    inputs: Array = contiguous_rows(array_of(x))[None]
    call = Call(
        inputs,
        tuple(np.zeros((N, H), dtype) if s is None else _dense(s) for s in states),
        part,
        full_rows(1, N),
        np.empty((1, N, H), dtype),
        n_threads=get_num_threads(),
        precision=precision,
    )
    ends, _ = backend.forward(cell, call)
    return [torch.from_numpy(s) for s in ends]


def wants_gradient(x: Tensor, *groups: Tensors) -> bool:
    """Whether anything may ask for a gradient, so that arrays have to be kept."""
    if not torch.is_grad_enabled():
        return False
    return x.requires_grad or any(t is not None and t.requires_grad for g in groups for t in g)


@straight
class Recurrent(torch.autograd.Function):
    """`run` with a backward pass."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        steps = min(layer.layout.rows.T, 2)
        others = unread(layer.cell, steps, ctx.needs_input_grad[1:])
        ctx.layer, ctx.held = layer, hold(ctx, tensors, others)
        ctx.set_materialize_grads(False)
        # Hooks cannot take what a kernel keeps: where there are any, backward runs forward again.
        outputs, ctx.held.kept = forward_layer(layer, tensors, save=not saving_hooked())
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        layer, held, needs = ctx.layer, ctx.held, ctx.needs_input_grad[1:]
        tensors = held.tensors(ctx)
        if not plain_gradients(grads):
            held.check_others()
            return None, *operations.gradients(layer, tensors, grads, needs)
        kept = held.take()
        if kept is None or kept.changed():
            held.check_others()
            kept = forward_layer(layer, tensors, save=True)[1]
        return None, *backward_layer(layer, kept, tensors, grads, needs)


def _split(layer: Layer, tensors: Tensors) -> tuple[Any, Tensors, Tensors]:
    """Return x, states and weights."""
    count = 1 + len(layer.cell.states)
    return tensors[0], tensors[1:count], tensors[count:]


def forward_layer(
    layer: Layer, tensors: Tensors, *, save: bool
) -> tuple[tuple[Tensor, ...], Saved | None]:
    """Return y and the last states, and what is saved for `backward_layer`."""
    cell, backend, layout, rows_first, precision, anew = layer
    x, states, weights = _split(layer, tensors)
    parts = _weights(weights)
    D, R = len(parts), parts[0].w_hh.shape[1]
    inputs = layout.read(array_of(x), backend)
    start = _states(layer, states, parts[0], D)
    y = layout.buffer(backend, D * R, inputs.dtype, rows_first)
    ends, kept = [], []
    for d, part in enumerate(parts):
        call = Call(
            inputs,
            tuple(s[d] for s in start),
            part,
            layout.rows,
            y[..., d * R : (d + 1) * R] if D > 1 else y,
            reverse=d == 1,
            reset=None if anew is None else _reset(anew[d], start, d),
            save=save,
            n_threads=get_num_threads(),
            precision=precision,
        )
        end, saved = backend.forward(cell, call)
        ends.append(end)
        kept.append(saved)
    arrays = [layout.result(y, backend), *_join(layout, ends)]
    outputs = tuple(torch.from_numpy(a) for a in arrays)
    if not save:
        return outputs, None
    # Detached, it shares memory and version with the y that the caller gets, but no graph.
    y_shared = outputs[0].detach()
    return outputs, Saved(kept, y_shared if layout.shares_y else None, y_shared._version)


def _reset(starts: Any, state: States, d: int) -> Reset:
    """Return where the rows of a direction start from zeros."""
    return Reset(starts, tuple(np.zeros_like(s[d]) for s in state))


def backward_layer(
    layer: Layer, kept: Saved, tensors: Tensors, grads: Tensors, needs: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Return the gradients of the tensors, None where none is needed."""
    backend, layout = layer.backend, layer.layout
    x, _, weights = _split(layer, tensors)
    dy, *dstate = grads
    gradients = [None if w is None else _zeros_like(w) for w in weights]
    parts = _directions(gradients)
    R = parts[0].w_hh.shape[1]
    d_out = None if dy is None else layout.read(array_of(dy), backend)
    d_end = [None if d is None else layout.read_state(_dense(d)) for d in dstate]
    dx = None
    if needs[0]:  # its axes in x's own order in memory
        rows_first = x.dim() == 3 and x.stride(0) < x.stride(1)
        dx = layout.buffer(backend, x.shape[-1], parts[0].w_hh.dtype, rows_first)
    starts = []
    for d, part in enumerate(parts):
        given = Gradients(
            None if d_out is None else d_out[..., d * R : (d + 1) * R],
            tuple(None if s is None else s[d] for s in d_end),
            part,
            dx,
            accumulate_dx=d == 1,
            n_threads=get_num_threads(),
        )
        start, _ = backend.backward(kept.parts[d], given)
        starts.append(start)
    if layout.rows.T == 1 and dy is None and dstate[0] is None:
        gradients[FIELDS - 1 :: FIELDS] = [None] * len(
            parts
        )  # h, and so the projection, had no use
    found = [None if dx is None else torch.from_numpy(layout.result(dx, backend))]
    found += [torch.from_numpy(s) for s in _join(layout, starts)]
    found += [None if g is None else torch.from_numpy(g) for g in gradients]
    return tuple(g if n else None for g, n in zip(found, needs, strict=True))


def _zeros_like(weight: Tensor) -> Array:
    """Return zeros that NumPy made: those that torch makes leave its threads spinning.

    They take the cores that the kernel needs next: on two threads an LSTM (64,200,128,128) took
    37 ms for 31, a GRU 34 for 24.
    """
    return np.zeros(weight.shape, TYPES[weight.dtype])


def _weights(tensors: Tensors) -> list[Weights]:
    """Return the arrays of each direction; a copy of a weight that is not contiguous.

    Those that a backward pass reads live as long: autograd keeps them.
    """
    parts = _directions([None if t is None else dense(weight_array(t)) for t in tensors])
    for part in parts:  # a kernel checks all other sizes against those of w_hh
        if part.w_hh.ndim != 2:
            raise ValueError(f"weight_hh has shape {part.w_hh.shape}, expected two axes")
    return parts


def _directions(arrays: Sequence[Array | None]) -> list[Weights]:
    return [Weights(*arrays[i : i + FIELDS]) for i in range(0, len(arrays), FIELDS)]  # type: ignore[arg-type]


def _states(layer: Layer, tensors: Tensors, part: Weights, D: int) -> States:
    """Return the initial states as arrays [D,N,K], zeros for None."""
    R, H = part.w_hh.shape[1], part.w_hh.shape[0] // len(layer.cell.gates)
    return tuple(
        np.zeros((D, layer.layout.rows.N, K), part.w_hh.dtype)
        if t is None
        else layer.layout.read_state(_dense(t))
        for t, K in zip(tensors, layer.cell.state_sizes(H, R), strict=True)
    )


def _dense(tensor: Tensor) -> Array:
    return dense(array_of(tensor))


def _join(layout: Padded, states: list[States]) -> list[Array]:
    """Return each state of all directions as one array, as the caller gets it."""
    if len(states) == 1:
        return [layout.state_result(s[None]) for s in states[0]]
    return [np.stack(pair) for pair in zip(*states, strict=True)]
