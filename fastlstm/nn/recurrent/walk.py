"""The walk over the layers and directions of a stack, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels import Call, Gradients, Reset, Weights
from fastlstm.nn.dropout import dropout_mask
from fastlstm.nn.module import Array
from fastlstm.nn.ready import ready
from fastlstm.nn.recurrent.reset import BoolArray, Cuts
from fastlstm.nn.recurrent.stack import Stack, States
from fastlstm.nn.sequence import Sequences, check_not_nan
from fastlstm.nn.weights import Owned, check_rounds, read_gradients, read_weights
from fastlstm.runtime import get_num_threads


class Noise(NamedTuple):
    """What is random in a training pass."""

    rng: np.random.Generator  # of dropout between the layers
    hidden: list[Array | None]  # masks of recurrent dropout, [N,R] of each layer and direction
    weights: list[Array | None]  # masks of weight drop, [G,R] of each layer and direction
    between: list[Array | None]  # masks of variational dropout, [N,D*R] between the layers


class Run(NamedTuple):
    """What one forward pass keeps for the backward pass."""

    batch: Sequences
    saved: list[Any]  # [layers * directions]
    owned: list[Owned]  # likewise: the parameters of this pass, even if the module has others now
    masks: list[Array | None]  # of dropout, [layers]; [T,N,D*R], or [N,D*R] of all steps
    noise: Noise | None
    ended: BoolArray | None  # [N], rows whose last state is the initial one again
    learned: bool  # whether the rows began with the layer's own initial state


def draw_noise(stack: Stack, N: int, rng: np.random.Generator) -> Noise:
    """Draw the masks that hold for all steps of N sequences."""
    K = len(stack._suffixes)

    def masks(p: float, shape: tuple[int, int], count: int = K, each: bool = True) -> list[Any]:
        return [dropout_mask(shape, p, stack.dtype, rng, each) if p else None for _ in range(count)]

    hidden = masks(stack.recurrent_dropout, (N, stack._size))
    rows = stack._cell.gate_rows(stack.hidden_size)
    weights = masks(stack.weight_drop, (rows, stack._size), each=False)
    p = stack.dropout if stack.variational else 0.0
    return Noise(rng, hidden, weights, masks(p, (N, stack._width), stack.num_layers - 1))


def run_forward(
    stack: Stack,
    batch: Sequences,
    state: States | None,
    cuts: Cuts | None,
    noise: Noise | None = None,
    save: Callable[[Any, Array], Any] | None = None,
    recompute: int = 0,
) -> tuple[Array, States, Run]:
    """Run all layers; states [K,N,...] each, None for the initial one.

    `save` makes `Run.saved` of what a backend saved of a layer in a direction, and of its y
    [T,N,R]; None for inference.
    """
    backend, ended = kernels.backend(stack._backend), None if cuts is None else cuts.ended(batch)
    run = Run(batch, [], [], [], noise, ended, state is None)
    initial = stack._initial(batch.rows.N) if state is None or cuts else []
    state = initial if state is None else state
    state_n = [np.empty_like(part) for part in state]
    layer_x, inner = batch.x, batch._replace(batch_first=False)  # inner: between layers
    for layer in range(stack.num_layers):
        last = layer == stack.num_layers - 1
        y, view = (batch if last else inner).buffer(backend, stack._width)
        for k, part in stack._parts(layer, view):
            d, owned = k % stack._directions, stack._owned(k)
            check_rounds(owned, stack._suffixes[k], stack.precision)
            call = Call(
                layer_x,
                tuple(s[k] for s in state),
                _dropped(read_weights(owned), noise and noise.weights[k]),
                batch.rows,
                part,
                reverse=d == 1,
                reset=cuts and Reset(cuts.starts[d], tuple(s[k] for s in initial)),
                mask=noise and noise.hidden[k],
                save=save is not None,
                recompute=recompute,
                n_threads=get_num_threads(),
                precision=stack.precision,
            )
            values, saved = backend.forward(stack._cell, call)
            for s, value in zip(state_n, values, strict=True):
                s[k] = value
            if save is not None:
                run.saved.append(save(saved, part))
                run.owned.append(owned)
        mask = None if last else _mask(stack, noise, layer, view.shape)
        run.masks.append(mask)
        layer_x = view if mask is None else view * mask
    check_not_nan(stack, state_n[0])
    if ended is not None:
        for s, anew in zip(state_n, initial, strict=True):
            s[:: stack._directions, ended] = anew[:: stack._directions, ended]
    return y, state_n, run


def _mask(stack: Stack, noise: Noise | None, layer: int, shape: tuple[int, ...]) -> Array | None:
    """Return the mask of dropout behind a layer; None without."""
    if not noise or not stack.dropout:
        return None
    held = noise.between[layer]
    return dropout_mask(shape, stack.dropout, stack.dtype, noise.rng) if held is None else held


def run_backward(
    stack: Stack, run: Run, d_out: Array | None, dstate: States, needs_dx: bool
) -> tuple[Array | None, States]:
    """Run all layers backward: d_out [T,N,D*R] -> dx in the caller's layout, dstate_0.

    dx is None if it is not needed.
    """
    batch, backend = run.batch, kernels.backend(stack._backend)
    inner = batch._replace(batch_first=False)
    if run.ended is not None:
        stack._leave_to_initial(dstate, run.ended)
    dstate_0 = [np.empty_like(d) for d in dstate]
    for layer in reversed(range(stack.num_layers)):
        dx = view = None
        if layer:
            dx, view = inner.buffer(backend, stack._width)
        elif needs_dx:
            dx, view = batch.dx_buffer(backend)
        for k, part in stack._parts(layer, d_out):
            gradients, kept = read_gradients(run.owned[k]), run.noise and run.noise.weights[k]
            of_call = gradients
            if kept is not None:  # those of the weights that were not dropped
                of_call = gradients._replace(w_hh=np.zeros_like(gradients.w_hh))
            given = Gradients(
                part,
                tuple(d[k] for d in dstate),
                of_call,
                view,
                accumulate_dx=k % stack._directions == 1,
                n_threads=get_num_threads(),
            )
            values, dreset = backend.backward(run.saved[k], given)
            if kept is not None:
                gradients.w_hh[...] += of_call.w_hh * kept
            for d, value in zip(dstate_0, values, strict=True):
                d[k] = value
            if dreset is not None:
                stack._learn(k, dreset)
            if run.learned:
                stack._learn(k, values)
            ready(*run.owned[k])
        mask = run.masks[layer - 1] if layer else None
        if mask is not None and view is not None:
            view *= mask
        d_out = view
    return dx, dstate_0


def _dropped(weights: Weights, mask: Array | None) -> Weights:
    """Return the weights of a pass: with a mask, weight_hh is a copy times it."""
    return weights if mask is None else weights._replace(w_hh=weights.w_hh * mask)
