"""Random streams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from toy import BagOfWords, Problem

from fastlstm.text import Batch
from fastlstm.train import seeds


def test_every_purpose_step_and_seed_has_its_own_stream() -> None:
    numbers = [
        float(seeds.generator(seed, purpose, step).random())
        for seed in (0, 1)
        for purpose in (seeds.DATA, seeds.DROPOUT, seeds.WEIGHTS, seeds.SPLIT, seeds.SAMPLES)
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


@pytest.mark.parametrize("stream", ["transform", "model"])
def test_every_step_of_a_run_has_numbers_of_its_own(stream: str) -> None:
    drawn: list[float] = []

    class Drawing(BagOfWords):
        def forward(
            self, tokens: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
        ) -> tuple[np.ndarray, Any]:
            drawn.append(float(rng.random()))
            return super().forward(tokens, lengths, rng)

    def transform(batch: Batch, rng: np.random.Generator) -> Batch:
        drawn.append(float(rng.random()))
        return batch

    problem = Problem()
    model = Drawing() if stream == "model" else BagOfWords()
    chosen = transform if stream == "transform" else None
    problem.fit(problem.trainer(model=model, transform=chosen, epochs=2))
    assert len(drawn) == len(set(drawn)) == 2 * problem.steps
