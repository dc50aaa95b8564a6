"""Random streams."""

from __future__ import annotations

import numpy as np

from fastlstm.train import seeds


def test_every_purpose_step_and_seed_has_its_own_stream() -> None:
    numbers = [
        float(seeds.generator(seed, purpose, step).random())
        for seed in (0, 1)
        for purpose in (seeds.DATA, seeds.DROPOUT, seeds.WEIGHTS, seeds.SPLIT)
        for step in (0, 1, 2)
    ]
    # those of the order of batches are a different family as well
    numbers += [
        float(np.random.default_rng([seed, epoch]).random()) for seed in (0, 1) for epoch in (0, 1)
    ]
    assert len(set(numbers)) == len(numbers)


def test_a_stream_can_be_had_again() -> None:
    one, two = (seeds.generator(5, seeds.DATA, 3).random(4) for _ in range(2))
    assert np.array_equal(one, two)
