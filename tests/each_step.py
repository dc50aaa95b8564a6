"""What a test does after each step of a trainer that it does not make itself."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from fastlstm.train import History

Then = Callable[[int, int], object]  # of the steps made since, and those of an epoch


def after_each_step(patch: pytest.MonkeyPatch, then: Then) -> list[int]:
    """Call `then` after each step of any trainer; return a list that grows by each."""
    steps, add = list[int](), History.add

    def counted(history: History, outcome: Any, steps_per_epoch: int) -> None:
        add(history, outcome, steps_per_epoch)
        steps.append(1)
        then(len(steps), steps_per_epoch)

    patch.setattr(History, "add", counted)
    return steps


def press_ctrl_c(patch: pytest.MonkeyPatch, epochs: int, more: int) -> list[int]:
    """Send SIGINT once, so many epochs and `more` steps from now; likewise."""

    def then(steps: int, steps_per_epoch: int) -> None:
        if steps == epochs * steps_per_epoch + more:
            signal.raise_signal(signal.SIGINT)

    return after_each_step(patch, then)
