"""`torch.vmap` of the operators, and of torch's own modules.

Calls of an operator that share their weights are one call of more rows; of all others each is made
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from fastlstm.torch.dispatch import uncompiled


def register(cell: str, states: int, library: Any) -> None:
    """Register the rules of both operators of a cell with so many states."""
    layer = getattr(torch.ops.fastlstm, cell)
    layer_backward = getattr(torch.ops.fastlstm, f"{cell}_backward")

    @uncompiled
    def forward(info: Any, dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        ragged = any(rows is not None for rows in args[states + 6 :])  # lengths, reset
        if ragged or any(d is not None for d in dims[states + 1]):
            return one_by_one(layer, info.batch_size, dims, args)
        axes = [1 - args[states + 2], *[1] * states]  # where rows stand in x and in the states
        rows = [
            None if t is None else fold(t, dim, axis, info.batch_size)
            for t, dim, axis in zip(args, dims, axes, strict=False)
        ]
        *outputs, marker = layer(*rows, *args[states + 1 :])
        found = [
            y.unflatten(axis, (info.batch_size, -1)) for y, axis in zip(outputs, axes, strict=True)
        ]
        return (*found, marker), (*axes, None)

    @uncompiled
    def backward(info: Any, dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        return one_by_one(layer_backward, info.batch_size, dims, args)

    torch.library.register_vmap(f"fastlstm::{cell}", forward, lib=library)
    torch.library.register_vmap(f"fastlstm::{cell}_backward", backward, lib=library)


def register_one_by_one(name: str, short: str, library: Any) -> None:
    """Register the rule of an operator that takes no batch of calls: they are made one by one."""
    operator = getattr(torch.ops.fastlstm, short)

    @uncompiled
    def rule(info: Any, dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        return one_by_one(operator, info.batch_size, dims, args)

    torch.library.register_vmap(name, rule, lib=library)


def states_of_each(
    module: torch.nn.Module, input: Tensor, hx: Any, shapes: Sequence[tuple[int, ...]]
) -> Any:
    """Return the states for torch's own module under vmap; zeros of `shapes` for None.

    torch adds to products of the states in place, so that they must stand for as many calls as
    any other tensor does. What is not as torch wants it stays as it is, for torch to refuse.
    """
    if hx is None:
        states = [input.new_zeros(shape) for shape in shapes]
    else:
        states = list(hx) if isinstance(hx, (tuple, list)) else [hx]
    if len(states) != len(shapes) or not all(isinstance(s, Tensor) for s in states):
        return hx
    zero = input.new_zeros(())
    for tensor in (*module._parameters.values(), *states):
        if tensor is not None:
            zero = zero + tensor.new_zeros((), dtype=input.dtype)
    states = [s + zero for s in states]
    return tuple(states) if len(states) > 1 else states[0]


def fold(tensor: Tensor, dim: int | None, axis: int, size: int) -> Tensor:
    """Return a tensor with its `size` calls as rows at `axis`; `dim` None: all have the same."""
    if dim is None:
        whole = tensor.unsqueeze(axis).expand(*tensor.shape[:axis], size, *tensor.shape[axis:])
    else:
        whole = tensor.movedim(dim, axis)
    return whole.flatten(axis, axis + 1)


def one_by_one(operator: Any, size: int, dims: Any, args: Any) -> tuple[Any, Any]:
    """Return what `size` calls of an operator give, each result stacked."""
    found = []
    for k in range(size):
        one = tree_map(lambda dim, arg, k=k: arg if dim is None else arg.select(dim, k), dims, args)
        found.append(operator(*one))
    stacked = tree_map(lambda *parts: torch.stack(parts), *found)
    return stacked, tree_map(lambda _: 0, stacked)
