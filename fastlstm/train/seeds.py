"""Random generators as functions of the seed, the purpose and the step.

So no generator state has to be saved: a resumed run makes the same generators again. Streams of
different purposes or steps are independent.
"""

from __future__ import annotations

import numpy as np

DATA, DROPOUT, WEIGHTS, SPLIT, SAMPLES, PRETRAINING, TEACHERS, LINEAR, TUNING = range(9)


def generator(seed: int, purpose: int, step: int = 0) -> np.random.Generator:
    """Return the generator for `purpose`, one of the constants here, at `step`."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, step)))
