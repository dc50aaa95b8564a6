"""The short way of one step of few rows, of a cell or of a layer, where nothing is unusual.

For one row the kernel takes a few microseconds, and so would looking at every case. Here is only
asked whether the case is the plain one; all others go through `cells.run_cell` and
`modules.run_sequence`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import Parameter

from fastlstm import kernels
from fastlstm.kernels.rows import full_rows
from fastlstm.runtime import get_num_threads
from fastlstm.torch.dispatch import plain_gradients, plain_mode, saving_hooked
from fastlstm.torch.function import Layer
from fastlstm.torch.held import Held, unread
from fastlstm.torch.layout import OneStep
from fastlstm.torch.operations import gradients
from fastlstm.torch.precision import DEFAULT, precision_of

FIXED = "_fastlstm_fixed"  # of a module inside `fixed_weights`: its weights, packed
NO_PROJECTION = (False,)  # a layer has a fifth weight, which a cell lacks


def short_step(module: torch.nn.RNNCellBase, cell: str, input: Any, hx: Any) -> Any:
    """Return the new states of a cell of `kernels.CELLS`; None if this is not a plain step.

    Raises RuntimeError if a weight changed inside `fixed_weights`.
    """
    if type(input) is not Tensor or precision_of(module) != DEFAULT or not plain_mode():
        return None
    step = compiled_step(cell)
    if step is None:
        return None
    if hx is None and input.dim() == 2:
        zeros = input.new_zeros(input.shape[0], module.hidden_size)
        hx = (zeros, zeros) if cell == "lstm" else zeros
    tensors = step.tensors(module._parameters, module.bias, input, hx)
    if tensors is None:
        return None
    if torch.is_grad_enabled() and step.plain(tensors):
        if any(t is not None and t.requires_grad for t in tensors):
            if saving_hooked():
                return None
            return Step.apply(cell, *tensors)
    fixed = module.__dict__.get(FIXED)
    if fixed is not None:
        if fixed.changed(tensors):
            raise RuntimeError(
                f"a weight of {type(module).__name__} changed inside fixed_weights, expected none "
                "to: leave the block to change weights, and enter it again"
            )
        return step.packed_step(tensors, fixed, get_num_threads())
    return step(tensors, get_num_threads())


def short_sequence(module: torch.nn.RNNBase, input: Any, hx: Any) -> Any:
    """Return (output, hx_n) of a module of one layer for one step; None if this is no plain one.

    A step that a gradient may be asked for is none.
    """
    if type(input) is not Tensor or input.dim() != 3 or input.shape[module.batch_first] != 1:
        return None
    if module.num_layers != 1 or module.bidirectional or module.proj_size:
        return None
    if precision_of(module) != DEFAULT or not plain_mode():
        return None
    step = compiled_step(module.mode.lower(), "_l0")
    if step is None:
        return None
    if hx is None:
        N = input.shape[not module.batch_first]
        zeros = input.new_zeros(1, N, module.hidden_size)
        hx = (zeros, zeros) if module.mode == "LSTM" else zeros
    tensors = step.tensors(module._parameters, module.bias, input, hx)
    if tensors is None:
        return None
    if torch.is_grad_enabled() and step.plain(tensors):
        if any(t is not None and t.requires_grad for t in tensors):
            return None
    ends = step(tensors, get_num_threads())
    if ends is None:
        return None
    y = ends[0].transpose(0, 1) if module.batch_first else ends[0]
    return y, ends[1:] if module.mode == "LSTM" else ends[1]


class Step(torch.autograd.Function):
    """A plain step with a backward pass: (cell, the tensors of `TensorStep`) -> new states."""

    @staticmethod
    def forward(ctx: Any, cell: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        ends: tuple[Tensor, ...]
        ctx.cell, step = cell, compiled_step(cell)
        ends, ctx.kept = step.save(tensors, get_num_threads())
        ctx.set_materialize_grads(False)
        needs = ctx.needs_input_grad[1:] + NO_PROJECTION
        ctx.held = Held(ctx, tensors, unread(kernels.CELLS[cell], 1, needs))
        return ends

    @staticmethod
    def backward(ctx: Any, *dstate: Tensor | None) -> tuple[Tensor | None, ...]:
        step, held, needs = compiled_step(ctx.cell), ctx.held, ctx.needs_input_grad[1:]
        tensors = tuple(held.tensors(ctx))
        if not plain_gradients(dstate):
            held.check_others()
            rows = full_rows(1, tensors[0].shape[0])
            layer = Layer(kernels.CELLS[ctx.cell], kernels.backend(), OneStep(rows))
            found = gradients(layer, (*tensors, None), (None, *dstate), needs + NO_PROJECTION)
            return None, *found[:-1]
        kept, ctx.kept, n_threads = ctx.kept, None, get_num_threads()
        if kept is None:  # a second backward pass through a retained graph
            held.check_others()
            kept = step.save(tensors, n_threads)[1]
        found = step.backward(kept, tensors, dstate, needs[0], n_threads)
        if not all(needs):
            found = [g if n else None for g, n in zip(found, needs, strict=True)]
        return None, *found


@cache
def compiled_step(cell: str, suffix: str = "") -> Any:
    """Return the compiled step of a cell; None if the backend in use has none.

    With a suffix of the names of its weights it is that of a layer.
    """
    if cell not in kernels.CELLS:
        return None  # `run_cell` says what is wrong
    make = getattr(kernels.backend(), "TensorStep", None)
    dtypes = torch.float32, torch.float64
    functions = Tensor.is_neg, torch.empty_like, torch.zeros_like
    row = kernels.CELLS[cell]
    return make and make(row, suffix, Tensor, Parameter, exchange(), dtypes, *functions)


def exchange() -> object | None:
    """Return torch's table of C functions that describe tensors; older ones have none."""
    return getattr(Tensor, "__dlpack_c_exchange_api__", None)
