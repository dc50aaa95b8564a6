"""A case of the torch modules: one of the kinds of call, right or hostile."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import fastlstm as fl
from attack.fuzz import (
    torch_calls,
    torch_hostile,
    torch_loops,
    torch_precision,
    torch_quantized,
    torch_steps,
)

KINDS = (
    (torch_calls.sequence, 8),
    (torch_calls.packed, 5),
    (torch_calls.cell, 6),
    (torch_calls.in_place, 4),
    (torch_calls.hooks, 3),
    (torch_calls.modes, 4),
    (torch_calls.copies, 2),
    (torch_calls.fixed, 3),
    (torch_loops.graphs, 7),
    (torch_loops.freed, 2),
    (torch_steps.forward, 5),
    (torch_steps.backward, 6),
    (torch_steps.summed, 3),
    (torch_precision.as_native, 5),
    (torch_precision.packed, 3),
    (torch_precision.accelerated, 2),
    (torch_precision.hostile, 4),
    (torch_quantized.converted, 4),
    (torch_quantized.hostile, 3),
    (torch_hostile.arguments, 8),
    (torch_hostile.cell_arguments, 6),
    (torch_hostile.packed, 4),
    (torch_hostile.weights, 7),
    (torch_hostile.storages, 4),
    (torch_hostile.subclasses, 3),
)
_CHOICES = [kind for kind, times in KINDS for _ in range(times)]


def case(rng: np.random.Generator, folder: Path) -> None:
    """Make one call of a kind that is drawn, on one thread or several."""
    fl.set_num_threads(int(rng.integers(1, 4)))
    _CHOICES[int(rng.integers(len(_CHOICES)))](rng)
