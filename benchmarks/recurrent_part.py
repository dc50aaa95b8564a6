"""The recurrent modules of a model without the rest: what a step calls them with, once more.

The calls of one step are recorded, with the gradients that their outputs get from the rest; then
they are made again, one after the other, and one backward pass through all of them. What one
hands straight to another, as the state of a cell, goes from call to call again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

RECURRENT = (nn.RNNBase, nn.RNNCellBase)


@dataclass(frozen=True)
class Output:
    """In the place of a tensor: what an earlier call returned there."""

    call: int
    place: int


class Call(NamedTuple):
    """A call of a recurrent module."""

    module: nn.Module
    given: tuple[Any, ...]  # detached, or an `Output`
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
        made: list[list[Tensor]] = []
        outputs: list[Tensor] = []
        gradients: list[Tensor] = []
        for module, given, wanted in calls:
            found = list(tensors(module(*_mapped(partial(_from, made), given))))
            outputs += [found[place] for place in wanted]
            gradients += wanted.values()
            made.append(found)
        if outputs:
            torch.autograd.backward(outputs, gradients)
        return [tensor for found in made for tensor in found]

    return run


def _from(made: list[list[Tensor]], value: Any) -> Tensor:
    return made[value.call][value.place] if isinstance(value, Output) else value


def _recorded(model: nn.Module, step: Callable[[], object]) -> list[Call]:
    calls: list[Call] = []
    # Outside an output goes by an alias, whose gradient is of what is outside alone.
    aliases: list[Tensor] = []
    own: dict[int, Tensor] = {}  # id of an alias -> the output
    sources: dict[int, Output] = {}  # id of the output

    def without_aliases(_: nn.Module, given: tuple[Any, ...]) -> Any:
        return _mapped(lambda tensor: own.get(id(tensor), tensor), given)

    def record(module: nn.Module, given: tuple[Any, ...], output: Any) -> Any:
        gradients: dict[int, Tensor] = {}
        places, number = count(), len(calls)

        def watched(tensor: Tensor) -> Tensor:
            place, alias = next(places), tensor.view_as(tensor)
            if tensor.requires_grad:
                alias.register_hook(partial(gradients.__setitem__, place))
            aliases.append(alias)
            own[id(alias)], sources[id(tensor)] = tensor, Output(number, place)
            return alias

        kept = _mapped(lambda tensor: sources.get(id(tensor)) or _detached(tensor), given)
        calls.append(Call(module, kept, gradients))
        return _mapped(watched, output)

    modules = [m for m in model.modules() if isinstance(m, RECURRENT)]
    hooks = [module.register_forward_pre_hook(without_aliases) for module in modules]
    hooks += [module.register_forward_hook(record) for module in modules]
    step()
    for hook in hooks:
        hook.remove()
    return calls


def _detached(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """Return what a recurrent module takes or returns with its tensors changed, in order."""
    if isinstance(value, PackedSequence):
        return value._replace(data=change(value.data))
    if isinstance(value, tuple):
        return tuple(_mapped(change, part) for part in value)
    return change(value) if isinstance(value, Tensor | Output) else value


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield those tensors."""
    if isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, tuple):
        for part in value:
            yield from tensors(part)
    elif isinstance(value, Tensor):
        yield value
