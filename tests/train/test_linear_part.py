"""The linear part of a run: what it is fitted to, and how it is joined to a net."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

from fastlstm.linear import BagOfNgrams, LinearTraining, NgramOptions, TokenRows
from fastlstm.models.joined import join, join_unseen
from fastlstm.train.classifier import linear_part
from fastlstm.train.classifier.linear_part import LabelledRows, LinearPart

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 60)
WORDS = RNG.integers(0, 20, (60, 6)) * 4 + np.where(RNG.random((60, 6)) < 0.4, LABELS[:, None], 3)
TEXTS = TokenRows.from_lists([[f"w{word}" for word in row] for row in WORDS.tolist()])
WEIGHTS = RNG.uniform(0.1, 4, 60)
TRAIN, HELD_BACK, NONE = np.arange(40), np.arange(40, 60), np.arange(0)
SEED = 3


def part(held_back: np.ndarray = HELD_BACK, weights: np.ndarray | None = WEIGHTS) -> LinearPart:
    return LinearPart.fit(LabelledRows(TEXTS, LABELS, TRAIN, held_back, weights), 3, SEED)


def fitted(rows: np.ndarray, weights: np.ndarray | None = WEIGHTS, C: float = 10) -> np.ndarray:
    """Logits of a model of some texts, whose weights have a mean of 1."""
    weight = None if weights is None else weights[rows] / weights[rows].mean()
    options = NgramOptions(seed=SEED, C=C)
    model = BagOfNgrams.fit(TEXTS.select(rows), LABELS[rows], 3, options, sample_weight=weight)
    return model.logits(TEXTS)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_it_learns_the_training_texts_and_at_the_end_all(weights: np.ndarray | None) -> None:
    found = part(weights=weights)
    first = fitted(TRAIN, weights, found.C)
    everything = fitted(np.arange(60), weights, found.C)
    np.testing.assert_allclose(found.model.logits(TEXTS), first, atol=1e-6)
    np.testing.assert_allclose(found.logits, first[HELD_BACK], atol=1e-6)
    np.testing.assert_allclose(found.everything.logits(TEXTS), everything, atol=1e-6)
    assert np.abs(first - everything).max() > 0.1


def test_weights_tell() -> None:
    assert np.abs(fitted(TRAIN) - fitted(TRAIN, None)).max() > 0.1


def test_it_is_joined_as_calibrated() -> None:
    net = np.random.default_rng(1).standard_normal((20, 3))
    found, labels = part(), LABELS[HELD_BACK]
    weights = WEIGHTS[HELD_BACK] / WEIGHTS[HELD_BACK].mean()
    both = {"calibration": found.calibration, "weights": weights}
    expected = astuple(join(net, found.logits, labels, **both))
    assert astuple(found.join(net)) == pytest.approx(expected)
    for name in both:  # each changes it
        other = {key: value for key, value in both.items() if key != name}
        assert astuple(join(net, found.logits, labels, **other)) != pytest.approx(expected)


@pytest.mark.parametrize("held_back", [True, False])
@pytest.mark.parametrize(("noise", "expected"), [(0.0, 30.0), (0.2, 3.0)])
def test_noisy_texts_cost_less(held_back: bool, noise: float, expected: float) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    words = rng.integers(0, 100, (400, 8)) * 2 + np.where(
        rng.random((400, 8)) < 0.8, labels[:, None], 0
    )
    texts = TokenRows.from_lists([[f"w{word}" for word in row] for row in words.tolist()])
    said = np.where(rng.random(400) < noise, 1 - labels, labels)
    train = np.arange(300) if held_back else np.arange(400)
    found = LinearPart.fit(LabelledRows(texts, said, train, np.arange(len(train), 400)), 2, SEED)
    assert found.C == expected
    model = BagOfNgrams.fit(texts, said, 2, NgramOptions(seed=SEED, C=expected))
    np.testing.assert_allclose(found.everything.logits(texts), model.logits(texts), atol=1e-6)
    if not held_back:
        training = LinearTraining(texts, said, 2, NgramOptions(seed=SEED))
        np.testing.assert_array_equal(found.logits, training.cross_logits(C=expected))


def test_a_few_turns_choose_for_many_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    trials = LinearTraining.trials

    def counted(self: LinearTraining, index: Any, judged: Any, costs: Any) -> Any:
        asked.append(len(judged))
        return trials(self, index, judged, costs)

    monkeypatch.setattr(LinearTraining, "trials", counted)
    part(NONE)
    assert asked == [8] * 5
    asked.clear()
    monkeypatch.setattr(linear_part, "ENOUGH", 9)
    part(NONE)
    assert asked == [8] * 2


def test_where_nothing_is_held_back_it_stays() -> None:
    found = part(NONE)
    assert found.everything is found.model
    net = np.random.default_rng(1).standard_normal((40, 3))
    assert found.join(net) == join_unseen(net, found.logits, found.calibration)
