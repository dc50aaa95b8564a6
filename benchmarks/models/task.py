"""What is done with a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Inputs = tuple[Any, ...]


@dataclass(frozen=True)
class Task:
    """One thing done with a model.

    Attributes
    ----------
    step : what one step is, in words; `{names}` of sizes are filled in.
    make : takes the sizes; returns the model and what a step is given.
    run : one step. Takes something that is called as the model is, with tensors alone, and what
        `make` returned; returns outputs by name, where the task trains a "loss" among them.
    sizes, small : of `make`: those that are timed, and some for tests.
    trains : whether a step ends with the gradients of all parameters.
    """

    step: str
    make: Callable[..., tuple[nn.Module, Inputs]]
    run: Callable[..., dict[str, Tensor]]
    sizes: dict[str, int]
    small: dict[str, int]
    trains: bool = False

    def described(self) -> str:
        """Return what one step is."""
        return self.step.format(**self.sizes)

    def build(self) -> tuple[nn.Module, Inputs]:
        """Return the model and what a step is given; the same numbers in every process."""
        torch.manual_seed(0)
        model, inputs = self.make(**self.sizes)
        return model.train(self.trains), inputs
