"""Learning-rate schedules: the factor on the learning rate as a function of progress.

Progress is 0 at the first step and 1 after the last. A schedule has no state, so a resumed run
follows it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fastlstm.nn.check import check_choice

Schedule = Callable[[float], float]


def constant(progress: float) -> float:
    """Stay at the full rate."""
    return 1.0


def linear(progress: float) -> float:
    """Fall in a straight line to 0."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """Fall to 0 along half a cosine: slow, fast, slow."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def halving(epochs: int, constant_epochs: int, factor: float = 0.5) -> Schedule:
    """Return a schedule that is constant at first and then falls by `factor` every epoch.

    `constant_epochs` of the run's `epochs` have the full rate: `max_epoch` of Zaremba et al. 2014.
    """

    def schedule(progress: float) -> float:
        epoch = int(progress * epochs) + 1
        return float(factor ** max(0, epoch - constant_epochs))

    return schedule


SCHEDULES: dict[str, Schedule] = {"constant": constant, "linear": linear, "cosine": cosine}


def get(name: str, warmup: float = 0.0) -> Schedule:
    """Return the schedule `name` of `SCHEDULES`, after a linear rise from 0.

    The rise takes `warmup`, a fraction of the run in [0, 1); the schedule covers the rest. Raises
    ValueError if there is no such schedule or fraction.
    """
    check_choice("schedule", name, tuple(SCHEDULES))
    if not 0.0 <= warmup < 1.0:
        raise ValueError(f"warmup is {warmup}, expected a fraction of at least 0 and below 1")
    fall = SCHEDULES[name]
    if warmup == 0.0:
        return fall

    def with_warmup(progress: float) -> float:
        if progress < warmup:
            return progress / warmup
        return fall((progress - warmup) / (1.0 - warmup))

    return with_warmup
