"""Gradients of a cell's weights that wait for all steps of a backward pass: one product for many.

Steps of a loop do not have the weights in their graph, but an anchor that was made of them. It
comes to its turn after all steps that a pass goes through, and returns the sums that those left for
it. What a pass leaves is kept by the pass's number, as several may go through one graph: one after
the other, at the same time, or one inside another.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fastlstm.runtime import get_num_threads
from fastlstm.torch.engine import straight

# Those that torch has had since 2.1 tell which pass runs, and whether a node is in it.
_pass_number: Any = getattr(torch._C, "_current_graph_task_id", None)
_will_run: Any = getattr(torch._C, "_will_engine_execute_node", None)


class Sums:
    """The gradients of a cell's weights in each pass through an anchor.

    Parameters
    ----------
    step : the cell's `TensorStep`.
    weights : w_ih, w_hh, b_ih, b_hh as of a step.
    sizes : of what `step.read_all` returned for them.
    """

    __slots__ = ("_passes", "begun", "sizes", "step", "weights")

    def __init__(self, step: Any, weights: tuple[Tensor | None, ...], sizes: Any) -> None:
        self.step, self.weights, self.sizes = step, weights, sizes
        self.begun = False  # a backward pass: steps from then on are of another graph, likely
        self._passes: dict[int, Pass] = {}

    def fit(self, step: Any, tensors: tuple[Any, ...], sizes: Any) -> bool:
        """Whether a step with these tensors can add to the same."""
        if self.begun or step is not self.step or sizes != self.sizes:
            return False
        same: bool = step.of_leaves(tensors, self.weights)
        return same

    def of_pass(self, node: Any) -> Pass | None:
        """Return what a step's backward pass adds to; None if nobody asks for these gradients.

        `node` is the step's, whose first tensor is the anchor.
        """
        number = _pass_number()
        found = self._passes.get(number)
        if found is None and _will_run(node.next_functions[0][0]):
            self.begun = True
            found = self._passes[number] = Pass(self.step.gather(self.weights))
        return found

    def take(self) -> list[Tensor | None]:
        """Return the gradients, when the pass has come to the anchor."""
        found = self._passes.pop(_pass_number(), None)
        return [None] * len(self.weights) if found is None else found.total()


class Pass:
    """The gradients of a cell's weights in one backward pass."""

    __slots__ = ("_others", "gathered")

    def __init__(self, gathered: Any) -> None:
        self.gathered = gathered
        self._others: list[Tensor | None] | None = None  # made by torch's operations

    def add(self, gradients: list[Tensor | None]) -> None:
        """Add those of a step that no kernel went back through."""
        before = self._others
        self._others = gradients if before is None else _sum(before, gradients)

    def total(self) -> list[Tensor | None]:
        found: list[Tensor | None] = self.gathered.finish(get_num_threads())
        return found if self._others is None else _sum(self._others, found)


def _sum(a: list[Tensor | None], b: list[Tensor | None]) -> list[Tensor | None]:
    return [y if x is None else x if y is None else x + y for x, y in zip(a, b, strict=True)]


# Of each cell that of its steps, until a backward pass begins.
_anchors: WeakKeyDictionary[torch.nn.Module, tuple[Sums, Tensor]] = WeakKeyDictionary()


@straight
class Anchor(torch.autograd.Function):
    """(Sums, weights) -> what steps have in the weights' place."""

    @staticmethod
    def forward(ctx: Any, sums: Sums, *weights: Tensor | None) -> Tensor:
        ctx.sums = sums
        ctx.set_materialize_grads(False)
        return sums.weights[0].new_empty(0)  # type: ignore[union-attr]

    @staticmethod
    def backward(ctx: Any, *_: Any) -> tuple[Tensor | None, ...]:
        return None, *ctx.sums.take()


def anchor_of(
    module: torch.nn.Module, step: Any, tensors: tuple[Any, ...], read: Any
) -> tuple[Sums, Tensor] | None:
    """Return the anchor of a module's step and its sums; None where steps make their own products.

    So do those that do not follow another, and those whose weights are not all parameters that
    want a gradient.
    """
    if _will_run is None or _pass_number is None or tensors[1].grad_fn is None:
        return None
    known, sizes = _anchors.get(module), read.sizes()
    if known is not None and known[0].fit(step, tensors, sizes):
        return known
    if not step.of_leaves(tensors):
        return None
    weights = tensors[-4:]
    sums = Sums(step, weights, sizes)
    known = _anchors[module] = sums, Anchor.apply(sums, *weights)
    return known
