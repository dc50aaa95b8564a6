"""The recurrent modules of a model without the rest: what a step calls them with, once more.

The calls of one step are recorded, with the gradients that their outputs got; then they are made
again, one after the other, and one backward pass through all of them. States that went from call
to call are given to each, so that nothing but these modules is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

RECURRENT = (nn.RNNBase, nn.RNNCellBase)


class Call(NamedTuple):
    """A call of a recurrent module."""

    module: nn.Module
    given: tuple[Any, ...]  # detached
    gradients: dict[int, Tensor]  # of its outputs, by their place in `tensors`


def recurrent_part(model: nn.Module, step: Callable[[], object]) -> Callable[[], list[Tensor]]:
    """Return what makes the calls that `step` makes of recurrent modules; it returns their outputs.

    Gradients are left in the parameters where `step` has a backward pass.
    """
    calls = _recorded(model, step)
    given = [t for call in calls for t in tensors(call.given) if t.requires_grad]
    leaves = [*given, *{p for call in calls for p in call.module.parameters()}]

    def run() -> list[Tensor]:
        for leaf in leaves:
            leaf.grad = None
        found: list[Tensor] = []
        outputs: list[Tensor] = []
        gradients: list[Tensor] = []
        for module, given, wanted in calls:
            made = list(tensors(module(*given)))
            outputs += [made[place] for place in wanted]
            gradients += wanted.values()
            found += made
        if outputs:
            torch.autograd.backward(outputs, gradients)
        return found

    return run


def _recorded(model: nn.Module, step: Callable[[], object]) -> list[Call]:
    calls: list[Call] = []

    def record(module: nn.Module, given: tuple[Any, ...], output: Any) -> Any:
        gradients: dict[int, Tensor] = {}
        places = count()

        def watched(tensor: Tensor) -> Tensor:
            """Return an alias: its gradient is of what is outside, not of the module itself too."""
            place = next(places)
            if tensor.requires_grad:
                tensor = tensor.view_as(tensor)
                tensor.register_hook(partial(gradients.__setitem__, place))
            return tensor

        calls.append(Call(module, _mapped(_detached, given), gradients))
        return _mapped(watched, output)

    modules = [m for m in model.modules() if isinstance(m, RECURRENT)]
    hooks = [module.register_forward_hook(record) for module in modules]
    step()
    for hook in hooks:
        hook.remove()
    return calls


def _detached(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


def _mapped(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Return what a recurrent module takes or returns with its tensors changed, in order."""
    if isinstance(value, PackedSequence):
        return value._replace(data=change(value.data))
    if isinstance(value, tuple):
        return tuple(_mapped(change, part) for part in value)
    return change(value) if isinstance(value, Tensor) else value


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield those tensors."""
    if isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, tuple):
        for part in value:
            yield from tensors(part)
    elif isinstance(value, Tensor):
        yield value
