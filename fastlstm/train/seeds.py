"""Random generators that are functions of the seed, the purpose and the step.

No generator lives longer than what it is for, so there is no generator state to save: a resumed
run makes the same ones again. Streams of different purposes or steps are independent.
"""

from __future__ import annotations

import numpy as np

DATA, DROPOUT, WEIGHTS, SPLIT, SAMPLES, PRETRAINING, TEACHERS = range(7)


def generator(seed: int, purpose: int, step: int = 0) -> np.random.Generator:
    """Return the generator for `purpose`, one of the constants here, at `step`."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, step)))
