"""A cell's step as an operator of its own, for compiled loops of steps without gradients.

`torch.ops.fastlstm.lstm_cell`, `gru_cell`, `rnn_tanh_cell` and `rnn_relu_cell` take x [N,I], the
states [N,H] and four weights, the biases perhaps None, and give the new states. torch's way to an
operator takes longer than the step, and twice as long where a formula for gradients is registered:
here is none. Steps that a gradient may be asked for are the operators of `operators`. Code that
torch.compile makes calls `direct_step` in the place of the operator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from fastlstm import kernels
from fastlstm.runtime import get_num_threads
from fastlstm.torch import compiler, flops, function, operators, vmap
from fastlstm.torch.dispatch import intercepted, transforming, uncompiled
from fastlstm.torch.held import Tensors
from fastlstm.torch.precision import DEFAULT
from fastlstm.torch.step import compiled_step

_library = torch.library.Library(operators.NAMESPACE, "FRAGMENT")


def takes(x: Tensor, states: Tensors, weights: Tensors, precision: str) -> bool:
    """Whether a step is one of these operators."""
    if precision != DEFAULT or torch.compiler.is_exporting() or transforming():
        return False
    return torch.compiler.is_compiling() and not function.wants_gradient(x, states, weights)


def run(cell: kernels.CellSpec, x: Tensor, states: Tensors, weights: Tensors) -> tuple[Tensor, ...]:
    """Return the new states; None stands for states of zeros."""
    H = weights[1].shape[1]  # type: ignore[union-attr]
    start = [x.new_zeros(x.shape[0], H) if s is None else s for s in states]
    ends = getattr(torch.ops.fastlstm, f"{cell.name}_cell")(x, *start, *weights[:4])
    return tuple(ends) if len(start) > 1 else (ends,)


def _define(cell: kernels.CellSpec) -> None:
    name, states = f"{cell.name}_cell", cell.states
    given = ", ".join(f"Tensor {s}0" for s in states)
    ends = ", ".join(f"Tensor {s}" for s in states)
    _library.define(
        f"{name}(Tensor x, {given}, Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, "
        f"Tensor? bias_hh) -> ({ends})"
    )
    _library.impl(name, partial(_forward, cell), "CPU")
    full = f"{operators.NAMESPACE}::{name}"
    torch.library.register_fake(full, partial(_fake, len(states)), lib=_library)
    vmap.register_one_by_one(full, name, _library)

    def count(x: Any, *args: Any, **_: Any) -> int:
        weights = args[len(states) : len(states) + 2]
        return flops.forward_flops((1, *x), weights)

    register_flop_formula(getattr(torch.ops.fastlstm, name))(count)
    compiler.call_directly(
        f"{operators.NAMESPACE}.{name}.default", __name__, "direct_step", cell.name
    )


def direct_step(name: str) -> Callable[..., Any]:
    """Return what compiled code calls for a step: the kernel, by the dispatcher only if it must be.

    It must where a mode of torch watches, and where the tensors are not those of a plain step.
    """
    operator = getattr(torch.ops.fastlstm, f"{name}_cell").default

    def call(*tensors: Any) -> Any:
        step = None if intercepted() else compiled_step(name)
        ends = step and step(tensors, get_num_threads())
        if ends is None:
            return operator(*tensors)
        return ends if len(ends) > 1 else ends[0]

    return call


@uncompiled
def _forward(cell: kernels.CellSpec, *tensors: Any) -> Any:
    step = compiled_step(cell.name)
    ends = step and step(tensors, get_num_threads())
    if ends is None:
        ends = _of_any_step(cell, tensors)
    return ends if len(ends) > 1 else ends[0]


def _of_any_step(cell: kernels.CellSpec, tensors: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """As the compiled step, of any number of rows in any layout."""
    x, *states = tensors[: 1 + len(cell.states)]
    if not x.shape[0]:
        return tuple(torch.empty_like(s) for s in states)
    weights = (*tensors[1 + len(states) :], None)
    return tuple(function.run_step(cell, kernels.backend(), x, states, weights))


def _fake(count: int, *tensors: Any) -> Any:
    ends = [s.new_empty(s.shape) for s in tensors[1 : 1 + count]]
    return tuple(ends) if count > 1 else ends[0]


for _name in operators.NAMES:
    _define(kernels.CELLS[_name])
