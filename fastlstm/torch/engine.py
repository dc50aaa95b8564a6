"""How torch's engines come to the backward passes of autograd.Functions.

The engine calls them at each step of a graph. The compiled one (torch._dynamo.compiled_autograd)
writes a program of these calls and the sums between them, with another object in the place of ctx,
on which nothing that is set stays.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

from fastlstm.torch.dispatch import uncompiled

F = TypeVar("F", bound=type[torch.autograd.Function])


def straight(cls: F) -> F:
    """Let the engine call `cls.backward`: what stands between looks for a vjp at each step.

    The compiled engine, which asks the class, gets a function that it does not look into.
    """
    function: Any = cls
    backward = uncompiled(function.backward)
    function._backward_cls.apply = backward

    @uncompiled
    def whole(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        return _without_gaps(ctx, backward(ctx, *grads))

    function.backward = staticmethod(whole)
    return cls


def _without_gaps(ctx: Any, found: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    """Return gradients with zeros for None where one is needed: the program adds what it gets."""
    edges = (edge for edge in ctx.next_functions if edge[0] is not None)
    whole = []
    for gradient, needed in zip(found, ctx.needs_input_grad, strict=True):
        if needed:
            node, place = next(edges)
            if gradient is None:
                like = node._input_metadata[place]
                gradient = torch.zeros(like.shape, dtype=like.dtype, device=like.device)
        whole.append(gradient)
    return tuple(whole)
