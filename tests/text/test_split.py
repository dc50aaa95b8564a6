"""Holding back the same fraction of each class."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.text.split import stratified_split

LABELS = np.array([0] * 50 + [1] * 7 + [2] * 2 + [0] * 50)


def split(fraction: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return stratified_split(LABELS, fraction, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("fraction", "counts"), [(0.1, [10, 1, 1]), (0.5, [50, 4, 1]), (0.99, [99, 6, 1])]
)
def test_each_class_gives_its_share_and_keeps_one(fraction: float, counts: list[int]) -> None:
    kept, held_back = split(fraction)
    assert np.bincount(LABELS[held_back]).tolist() == counts
    assert sorted([*kept, *held_back]) == list(range(len(LABELS)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held_back) > 0).all()


def test_the_seed_decides() -> None:
    assert split(0.2)[1].tolist() == split(0.2)[1].tolist()
    assert split(0.2)[1].tolist() != split(0.2, seed=1)[1].tolist()


def test_what_cannot_be_divided() -> None:
    with pytest.raises(ValueError, match="class 3 has a single text"):
        stratified_split([1, 1, 3, 1], 0.5, np.random.default_rng(0))
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="fraction is"):
            split(fraction)
