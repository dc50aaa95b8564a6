"""A case of the native interface: one of the kinds of call, right or hostile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import fastlstm as fl
from attack.fuzz import (
    bound_passes,
    chains,
    fields,
    hostile_calls,
    hostile_chains,
    hostile_weights,
    layers,
    parts,
    precision,
    sparse,
    steps,
    stream_rows,
    vocabulary,
)
from attack.fuzz.draw import Rng

Kind = Callable[[Rng], None]

# Each with how often it comes.
KINDS: tuple[tuple[Kind, int], ...] = (
    (layers.values, 6),
    (layers.windows, 2),
    (layers.inside, 2),
    (layers.plan, 2),
    (layers.round_trip, 2),
    (steps.cell, 4),
    (steps.stream, 4),
    (steps.state, 3),
    (stream_rows.steps, 4),
    (stream_rows.hostile, 4),
    (chains.values, 5),
    (chains.divisions, 5),
    (chains.restarted, 2),
    (chains.no_number, 2),
    (chains.from_threads, 1),
    (hostile_chains.used, 3),
    (hostile_chains.built, 3),
    (hostile_chains.changed, 2),
    (hostile_chains.straight, 6),
    (hostile_chains.misused, 3),
    (bound_passes.values, 2),
    (bound_passes.arrays_changed, 2),
    (bound_passes.hostile, 4),
    (bound_passes.from_threads, 1),
    (precision.definition, 5),
    (precision.cell, 2),
    (precision.equal, 4),
    (precision.training, 3),
    (precision.near_float32, 2),
    (precision.dense, 2),
    (precision.refused, 3),
    (parts.embedding, 3),
    (parts.pooling, 3),
    (parts.optimizer, 4),
    (parts.losses, 2),
    (parts.dense, 2),
    (parts.adaptive, 3),
    (vocabulary.values, 4),
    (vocabulary.hostile, 4),
    (fields.values, 4),
    (fields.hostile, 4),
    (sparse.counts, 3),
    (sparse.regression, 3),
    (sparse.hostile, 6),
    (hostile_calls.sequence, 12),
    (hostile_calls.cell, 5),
    (hostile_calls.stream, 6),
    (hostile_calls.state, 4),
    (hostile_calls.part, 6),
    (hostile_calls.construction, 4),
    (hostile_weights.assigned, 6),
    (hostile_weights.between, 8),
    (hostile_weights.loaded, 4),
    (hostile_weights.attributes, 4),
    (hostile_weights.buffers, 6),
)
_CHOICES = [kind for kind, times in KINDS for _ in range(times)]


def case(rng: np.random.Generator, folder: Path) -> None:
    """Make one call of a kind that is drawn, on one thread or several."""
    fl.set_num_threads(int(rng.integers(1, 4)))
    _CHOICES[int(rng.integers(len(_CHOICES)))](rng)
