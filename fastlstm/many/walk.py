"""The walk over the layers and directions of many stacks, forward and backward."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastlstm.kernels.many import ManyCall, ManyGradients
from fastlstm.many.batch import Batches
from fastlstm.many.plan import Plan
from fastlstm.nn.module import Array
from fastlstm.runtime import get_num_threads

States = list[Array]  # each [M,K,N,...], K = layers * directions


class Run(NamedTuple):
    """What one forward pass keeps for the backward pass."""

    plan: Plan
    batch: Batches
    saved: list[Any]  # [K]


def run_forward(plan: Plan, batch: Batches, state: States, save: bool) -> tuple[Array, States, Run]:
    """Run all layers of all models."""
    like, run = plan.like, Run(plan, batch, [])
    state_n = [np.empty_like(part) for part in state]
    layer_x, inner = batch.x, batch._replace(batch_first=False)  # inner: between layers
    for layer in range(like.num_layers):
        last = layer == like.num_layers - 1
        y, view = (batch if last else inner).buffer(plan.backend, like._width)
        for k, part in like._parts(layer, view):
            call = ManyCall(
                layer_x,
                tuple(s[:, k] for s in state),
                batch.lengths,
                part,
                reverse=k % like._directions == 1,
                save=save,
                recompute=like.recompute,
                n_threads=get_num_threads(),
            )
            values, saved = plan.weights[k].forward(call)
            for s, value in zip(state_n, values, strict=True):
                s[:, k] = value
            run.saved.append(saved)
        layer_x = view
    return y, state_n, run


def run_backward(
    run: Run, d_out: Array | None, dstate: States, needs_dx: bool
) -> tuple[Array | None, States]:
    """Run them backward: d_out [M,T,N,D*R] -> dx in the caller's layout, dstate_0.

    dx is None if it is not needed.
    """
    plan, batch, like = run.plan, run.batch, run.plan.like
    inner, dstate_0 = batch._replace(batch_first=False), [np.empty_like(d) for d in dstate]
    for layer in reversed(range(like.num_layers)):
        dx = view = None
        if layer or needs_dx:
            width = like._width if layer else like.input_size
            dx, view = (inner if layer else batch).buffer(plan.backend, width)
        for k, part in like._parts(layer, d_out):
            given = ManyGradients(
                part,
                tuple(d[:, k] for d in dstate),
                plan.gradients[k],
                view,
                accumulate_dx=k % like._directions == 1,
                n_threads=get_num_threads(),
            )
            for d, value in zip(
                dstate_0, plan.weights[k].backward(run.saved[k], given), strict=True
            ):
                d[:, k] = value
        d_out = view
    return dx, dstate_0
