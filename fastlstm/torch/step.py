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
from fastlstm.torch.dispatch import (
    compiling,
    differentiated,
    plain_gradients,
    plain_mode,
    saving_hooked,
    transforming,
    uncompiled_plain_mode,
)
from fastlstm.torch.engine import straight
from fastlstm.torch.function import Layer
from fastlstm.torch.held import Held, unread
from fastlstm.torch.late import Sums, anchor_of
from fastlstm.torch.layout import OneStep, Padded
from fastlstm.torch.operations import gradients
from fastlstm.torch.precision import DEFAULT

FIXED = "_fastlstm_fixed"  # of a module inside `fixed_weights`: its weights, packed
WEIGHTS = 4  # of a step, the last of its tensors
ALL_WEIGHTS = (True,) * WEIGHTS
OPERATORS = ("lstm", "gru", "rnn_tanh", "rnn_relu")  # of cells, in `cell_operators`
NO_PROJECTION = (False,)  # a layer has a fifth weight, which a cell lacks


def short_step(module: Any, cell: str, input: Any, hx: Any) -> Any:
    """Return the new states of a cell of `kernels.CELLS`; None if this is not a plain step.

    Raises RuntimeError if a weight changed inside `fixed_weights`.
    """
    own = module.__dict__
    if type(input) is not Tensor or module._precision != DEFAULT:
        return None
    if compiling():
        return _traced(module, cell, input, hx)
    if not uncompiled_plain_mode():
        return None
    step = compiled_step(cell)
    if step is None:
        return None
    if hx is None and input.dim() == 2:
        zeros = input.new_zeros(input.shape[0], module.hidden_size)
        hx = (zeros, zeros) if cell == "lstm" else zeros
    tensors = step.tensors(own["_parameters"], module.bias, input, hx)
    if tensors is None:
        return None
    if torch.is_grad_enabled() and (read := step.read_all(tensors)) is not None:
        if step.wants_gradient(tensors):
            if saving_hooked() or not read.trains:
                return None
            return _trained(module, step, tensors, read)
    return _untrained(module, step, tensors)


def _traced(module: torch.nn.RNNCellBase, cell: str, input: Tensor, hx: Any) -> Any:
    """As `short_step` for a compiler: by the operator of `cell_operators`, without gradients.

    Compiled code looks again, at each call, at every name that is asked here: so few are.
    """
    if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or transforming():
        return None
    if differentiated() or torch.compiler.is_exporting() or input.dim() != 2:
        return None
    N, H = input.shape[0], module.hidden_size
    if hx is None:
        zeros = input.new_zeros(N, H)
        hx = (zeros, zeros) if cell == "lstm" else zeros
    states = hx if cell == "lstm" else (hx,)
    if type(states) is not tuple or len(states) != 1 + (cell == "lstm"):
        return None
    own, dtype = module._parameters, input.dtype
    weights = tuple(own.get(n) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    if dtype not in (torch.float32, torch.float64) or cell not in OPERATORS:
        return None
    if input.shape[1] != module.input_size or not input.is_cpu or not input.numel():
        return None
    for w in weights[: WEIGHTS if module.bias else 2]:
        if w is None or w.dtype is not dtype or not w.is_cpu:
            return None
    for s in states:
        if type(s) is not Tensor or s.dtype is not dtype or not s.is_cpu:
            return None
        if s.dim() != 2 or s.shape[0] != N or s.shape[1] != H:
            return None
    ends = getattr(torch.ops.fastlstm, f"{cell}_cell")(input, *states, *weights)
    return ends if cell == "lstm" else (ends,)


def short_sequence(module: Any, input: Any, hx: Any) -> Any:
    """Return (output, hx_n) of a module of few layers for one step; None if this is no plain one.

    Of several layers a step that a gradient may be asked for is none. Raises RuntimeError if a
    weight changed inside `fixed_weights`.
    """
    if type(input) is not Tensor or input.dim() != 3 or input.shape[module.batch_first] != 1:
        return None
    L = module.num_layers
    if module.bidirectional or module.proj_size:
        return None
    if L > 1 and module.dropout and module.training:
        return None
    if module._precision != DEFAULT or not plain_mode():
        return None
    parts = module._all_weights
    if len(parts) != L or len(parts[0]) != (WEIGHTS if module.bias else 2):
        return None
    step = compiled_step(module.mode.lower(), L)
    if step is None:
        return None
    if hx is None:
        N = input.shape[not module.batch_first]
        zeros = input.new_zeros(L, N, module.hidden_size)
        hx = (zeros, zeros) if module.mode == "LSTM" else zeros
    tensors = step.tensors(module._parameters, module.bias, input, hx)
    if tensors is None:
        return None
    if (
        torch.is_grad_enabled()
        and (read := step.read_all(tensors)) is not None
        and step.wants_gradient(tensors)
    ):
        if L > 1 or saving_hooked() or not read.trains:
            return None
        ends = _trained(module, step, tensors, read)
    else:
        ends = _untrained(module, step, tensors)
        if ends is None:
            return None
    return ends[0], ends[1:] if module.mode == "LSTM" else ends[1]


def _untrained(module: torch.nn.Module, step: Any, tensors: tuple[Any, ...]) -> Any:
    """Return what the step does where no gradient may be asked for."""
    fixed = module.__dict__.get(FIXED)
    if fixed is None:
        return step(tensors, get_num_threads())
    if fixed.changed(tensors):
        raise RuntimeError(
            f"a weight of {type(module).__name__} changed inside fixed_weights, expected none "
            "to: leave the block to change weights, and enter it again"
        )
    return step.packed_step(tensors, fixed, get_num_threads())


def _trained(module: torch.nn.Module, step: Any, tensors: tuple[Any, ...], read: Any) -> Any:
    """Return what the step does, where a gradient may be asked for."""
    anchored = anchor_of(module, step, tensors, read)
    if anchored is None:
        return _apply(Step)(step, read, *tensors)
    return _apply(LateStep)(step, read, anchored[0], anchored[1], *tensors[:-WEIGHTS])


@cache
def _apply(cls: Any) -> Any:
    """Return what `cls.apply` calls after looking for what no tensor that was read can be."""
    return super(torch.autograd.Function, cls).apply


@cache
def _unread(step: Any, needs: tuple[bool, ...]) -> tuple[int, ...]:
    """As `held.unread`, of a step."""
    return unread(step.cell, 1, needs + NO_PROJECTION)


@cache
def _unread_late(step: Any, needs: tuple[bool, ...]) -> tuple[int, ...]:
    """As `_unread` for the `needs_input_grad` of a `LateStep`."""
    return _unread(step, needs[4:] + ALL_WEIGHTS)


@straight
class Step(torch.autograd.Function):
    """A plain step with a backward pass: (`TensorStep`, its tensors) -> what it returns.

    The second argument is what `read_all` returned for the tensors.
    """

    @staticmethod
    def forward(ctx: Any, step: Any, read: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...]
        outputs, kept = step.save(tensors, get_num_threads(), read)
        ctx.step = step
        ctx.set_materialize_grads(False)
        ctx.held = Held(step.hold(ctx, tensors, _unread(step, ctx.needs_input_grad[2:])), kept)
        return outputs

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        held, needs = ctx.held, ctx.needs_input_grad[2:]
        tensors = tuple(held.tensors(ctx))
        if not plain_gradients(given):
            return None, None, *_of_torch(ctx, tensors, given, needs)
        kept = _kept(ctx, tensors)
        found = ctx.step.backward(kept, tensors, given, needs[0], get_num_threads())
        if not all(needs):
            found = [g if n else None for g, n in zip(found, needs, strict=True)]
        return None, None, *found


@straight
class LateStep(torch.autograd.Function):
    """As `Step`, with an anchor and its `late.Sums` in the place of the weights."""

    @staticmethod
    def forward(
        ctx: Any, step: Any, read: Any, sums: Sums, anchor: Tensor, *rows: Tensor
    ) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...]
        tensors = rows + sums.weights
        outputs, kept = step.save(tensors, get_num_threads(), read)
        ctx.step, ctx.sums = step, sums
        ctx.set_materialize_grads(False)
        others = step.hold(ctx, tensors, _unread_late(step, ctx.needs_input_grad))
        ctx.held = Held(others, kept)
        return outputs

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        held, needs = ctx.held, ctx.needs_input_grad[4:]
        tensors, w = tuple(held.tensors(ctx)), len(needs)
        asked = ctx.sums.of_pass(ctx)
        if not plain_gradients(given):
            there = tuple(asked is not None and t is not None for t in tensors[w:])
            every = _of_torch(ctx, tensors, given, needs + there)
            if asked is not None:
                asked.add(every[w:])
            return None, None, None, None, *every[:w]
        kept, gathered = _kept(ctx, tensors), None if asked is None else asked.gathered
        found = ctx.step.backward_rows(kept, tensors, given, needs[0], gathered, get_num_threads())
        if not all(needs[1:]):
            found = [g if n else None for g, n in zip(found, needs, strict=True)]
        return None, None, None, None, *found


def _kept(ctx: Any, tensors: tuple[Any, ...]) -> Any:
    """Return what forward kept; for a second pass through a retained graph it is made anew."""
    kept = ctx.held.take()
    if kept is None:
        ctx.held.check_others()
        kept = ctx.step.save(tensors, get_num_threads())[1]
    return kept


def _of_torch(
    ctx: Any, tensors: tuple[Any, ...], given: tuple[Any, ...], needs: tuple[bool, ...]
) -> list[Tensor | None]:
    """Return the gradients in torch's own operations."""
    ctx.held.check_others()
    cell, (x, *others), needs = ctx.step.cell, tensors, needs + NO_PROJECTION
    if x.dim() == 2:
        layer = Layer(cell, kernels.backend(), OneStep(full_rows(1, x.shape[0])))
        return gradients(layer, (x, *others, None), (None, *given), needs)[:-1]
    turned = x.shape[0] != 1  # the batch first
    dy, *dstate = given
    if turned:
        x, dy = x.transpose(0, 1), None if dy is None else dy.transpose(0, 1)
    layer = Layer(cell, kernels.backend(), Padded(full_rows(1, x.shape[1])))
    dx, *found = gradients(layer, (x, *others, None), (dy, *dstate), needs)[:-1]
    return [dx.transpose(0, 1) if turned and dx is not None else dx, *found]


@cache
def compiled_step(cell: str, layers: int = 0) -> Any:
    """Return the compiled step of a cell, or of so many layers; None if the backend has none."""
    if cell not in kernels.CELLS:
        return None  # `run_cell` says what is wrong
    make = getattr(kernels.backend(), "TensorStep", None)
    dtypes = torch.float32, torch.float64
    functions = Tensor.is_neg, torch.empty_like, torch.zeros_like
    row = kernels.CELLS[cell]
    return make and make(row, layers, Tensor, Parameter, exchange(), dtypes, *functions)


def exchange() -> object | None:
    """Return torch's table of C functions that describe tensors; older ones have none."""
    return getattr(Tensor, "__dlpack_c_exchange_api__", None)
