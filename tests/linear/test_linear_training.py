"""Fitting a linear classifier."""

from __future__ import annotations

import os
import signal
from threading import enumerate as enumerate_threads
from typing import Any

import numpy as np
import pytest
from linear_texts import LABELS, TEXTS, draw

from fastlstm import runtime
from fastlstm.kernels.sparse import LogisticProblem
from fastlstm.linear import (
    BagOfNgrams,
    LinearTraining,
    NgramOptions,
    TokenRows,
    counting,
    grams,
    options,
    training,
)
from fastlstm.linear.folds import folds_of
from fastlstm.linear.side_by_side import ending, side_by_side

ROWS = TokenRows.from_texts(TEXTS)
WORDS = NgramOptions(chars=None, tolerance=1e-8)


def test_a_weight_of_two_is_a_text_twice() -> None:
    weight = np.array([2, 1, 1, 2, 1, 1, 1, 1])
    weighted = BagOfNgrams.fit(ROWS, LABELS, 2, WORDS, sample_weight=weight)
    index = np.repeat(np.arange(8), weight)
    repeated = BagOfNgrams.fit(ROWS.select(index), np.array(LABELS)[index], 2, WORDS)
    np.testing.assert_allclose(weighted.scales, repeated.scales, rtol=1e-6)
    np.testing.assert_allclose(weighted.logits(ROWS), repeated.logits(ROWS), atol=1e-3)


def test_a_weight_of_nothing_leaves_a_text_out() -> None:
    weight = np.array([1, 1, 0, 1, 0, 1, 1, 1])
    exact = NgramOptions(chars=(2, 4), tolerance=1e-8)
    weighted = BagOfNgrams.fit(ROWS, LABELS, 2, exact, sample_weight=weight)
    index = np.flatnonzero(weight)
    without = BagOfNgrams.fit(ROWS.select(index), np.array(LABELS)[index], 2, exact)
    np.testing.assert_array_equal(weighted.logits(ROWS), without.logits(ROWS))


def test_a_weight_of_next_to_nothing_is_taken() -> None:
    """Of any size: beside the others it is as good as 0."""
    weight = np.array([1, 1, 1, 1, 1, 1, 1, 1e-40])
    tiny = BagOfNgrams.fit(ROWS, LABELS, 2, WORDS, sample_weight=weight)
    weight[-1] = 1e-20
    more = BagOfNgrams.fit(ROWS, LABELS, 2, WORDS, sample_weight=weight)
    np.testing.assert_allclose(tiny.weights, more.weights, atol=1e-6)


def test_equal_weights_have_the_bits_of_none() -> None:
    plain = BagOfNgrams.fit(ROWS, LABELS, 2)
    equal = BagOfNgrams.fit(ROWS, LABELS, 2, sample_weight=np.ones(8))
    np.testing.assert_array_equal(plain.weights, equal.weights)


def test_threads_and_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = draw(120, 3)
    rows, found = TokenRows.from_texts(texts), []
    for block, threads in ((1 << 22, 1), (1, 2), (50, 1)):
        monkeypatch.setattr(grams, "BLOCK", block)
        with runtime.num_threads(threads):
            found.append(BagOfNgrams.fit(rows, labels, 3).logits(rows))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_the_backends_find_the_same(backend_isa: str) -> None:
    texts, labels = draw(40, 3)
    rows = TokenRows.from_texts(texts)
    model = BagOfNgrams.fit(rows, labels, 3)
    expected = REFERENCE.setdefault("logits", model.logits(rows))
    np.testing.assert_allclose(model.logits(rows), expected, atol=1e-4)


REFERENCE: dict[str, Any] = {}


@pytest.mark.parametrize("classes", [2, 3])
def test_cross_logits_are_of_other_texts(classes: int) -> None:
    """Each part as a classifier of the other texts alone would have judged it."""
    texts, labels = draw(60, classes)
    rows = TokenRows.from_texts(texts)
    found = LinearTraining(rows, labels, classes, NgramOptions(tolerance=1e-8)).cross_logits(3)
    part = folds_of(labels, 3, np.random.default_rng(0))
    for fold in range(3):
        kept = np.flatnonzero(part != fold)
        other = BagOfNgrams.fit(
            rows.select(kept), labels[kept], classes, NgramOptions(tolerance=1e-8)
        )
        judged = np.flatnonzero(part == fold)
        np.testing.assert_allclose(found[judged], other.logits(rows.select(judged)), atol=2e-3)


def test_a_fit_to_some_texts_knows_no_others() -> None:
    texts, labels = draw(60)
    rows, kept = TokenRows.from_texts(texts), np.arange(10, 60)
    exact = NgramOptions(tolerance=1e-8)
    some = LinearTraining(rows, labels, 2, exact).fit(kept)
    alone = BagOfNgrams.fit(rows.select(kept), labels[kept], 2, exact)
    np.testing.assert_allclose(some.logits(rows), alone.logits(rows), atol=2e-3)
    with pytest.raises(IndexError):
        LinearTraining(rows, labels, 2).fit([60])


@pytest.mark.parametrize("classes", [2, 3])
def test_trials_are_fits_of_other_costs(classes: int) -> None:
    texts, labels = draw(60, classes)
    rows, kept, judged = TokenRows.from_texts(texts), np.arange(10, 60), np.array([3, 0, 7])
    training = LinearTraining(rows, labels, classes)
    weight = np.random.default_rng(0).uniform(0.5, 2, 50)
    trials = training.trials(kept, judged, (30.0, 1.0), sample_weight=weight)
    for C, (model, logits) in zip((30.0, 1.0), trials, strict=True):
        same = training.fit(kept, C=C, sample_weight=weight)
        np.testing.assert_array_equal(model.weights, same.weights)
        np.testing.assert_allclose(logits, model.logits(rows.select(judged)), atol=1e-6)
        alone = BagOfNgrams.fit(
            rows.select(kept), labels[kept], classes, NgramOptions(C=C), sample_weight=weight
        )
        np.testing.assert_allclose(logits, alone.logits(rows.select(judged)), atol=2e-2 * C)


def test_another_cost_is_another_option() -> None:
    texts, labels = draw(60)
    rows = TokenRows.from_texts(texts)
    plain, other = (
        LinearTraining(rows, labels, 2),
        LinearTraining(rows, labels, 2, NgramOptions(C=2)),
    )
    np.testing.assert_array_equal(plain.fit(C=2).weights, other.fit().weights)
    np.testing.assert_array_equal(plain.cross_logits(3, C=2), other.cross_logits(3))
    assert (plain.fit().weights != other.fit().weights).any()
    part = folds_of(labels, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(plain.turns(3), part)
    with pytest.raises(ValueError, match="C is 0"):
        plain.fit(C=0)
    with pytest.raises(ValueError, match="sample_weight must be 3 numbers"):
        plain.fit([0, 1, 2], sample_weight=[1, 1])


def test_cross_logits_tell_how_good_it_is() -> None:
    texts, labels = draw(300)
    rows = TokenRows.from_texts(texts)
    found = LinearTraining(rows, labels, 2).cross_logits()
    assert 0.6 < np.mean((found > 0) == labels) < 0.999
    assert (LinearTraining(rows, labels, 2).fit().logits(rows) > 0).tolist() == labels.tolist()


@pytest.mark.parametrize("folds", [-1, 0, 1, 9])
def test_wrong_folds(folds: int) -> None:
    with pytest.raises(ValueError, match=f"folds is {folds}, expected 2 to 8"):
        LinearTraining(ROWS, LABELS, 2).cross_logits(folds)


def test_a_class_without_texts_is_never_chosen() -> None:
    model = BagOfNgrams.fit(ROWS, LABELS, 3)
    assert model.logits(ROWS)[:, 2].max() < -1
    only = BagOfNgrams.fit(ROWS, [1] * 8, 2)
    assert (only.logits(ROWS) > 0).all()


def test_texts_without_tokens() -> None:
    rows = TokenRows.from_lists([[], [], []])
    model = BagOfNgrams.fit(rows, [0, 1, 1], 2, WORDS)
    np.testing.assert_allclose(model.logits(rows), model.intercept[0])
    assert model.intercept[0] > 0
    unknown = BagOfNgrams.fit(ROWS, LABELS, 2).logits(TokenRows.from_lists([["zzzz"], []]))
    assert unknown[0] == unknown[1]


def test_no_texts() -> None:
    rows = TokenRows.from_lists([])
    model = BagOfNgrams.fit(rows, [], 2)
    assert model.logits(rows).shape == (0,)
    assert model.logits(ROWS).tolist() == [0.0] * 8


def test_the_rarest_ngrams_go_first() -> None:
    model = BagOfNgrams.fit(ROWS, LABELS, 2, NgramOptions(max_features=5, chars=None))
    assert len(model.features) == 5
    everything = BagOfNgrams.fit(ROWS, LABELS, 2, NgramOptions(chars=None))
    frequency = np.bincount(everything.features.count(ROWS).rows.columns)
    chosen = np.isin(everything.features.keys[0], model.features.keys[0])
    assert frequency[chosen].min() >= frequency[~chosen].max()


def test_few_texts_keep_all_and_many_the_ngrams_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    few = BagOfNgrams.fit(ROWS, LABELS, 2)
    monkeypatch.setattr(training, "FEW_TEXTS", 8)
    many = BagOfNgrams.fit(ROWS, LABELS, 2)
    assert len(many.features.keys[0]) < len(few.features.keys[0])
    assert len(many.features.keys[1]) == len(few.features.keys[1])


def test_characters_are_for_short_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BagOfNgrams.fit(ROWS, LABELS, 2).features.chars == (2, 5)
    monkeypatch.setattr(options, "MOST_TOKENS", len(ROWS.ids) - 1)
    assert BagOfNgrams.fit(ROWS, LABELS, 2).features.chars is None


def test_the_work_is_told() -> None:
    told: list[float] = []
    BagOfNgrams.fit(ROWS, LABELS, 2, advance=told.append)
    assert sum(told) == pytest.approx(1)


@pytest.mark.parametrize(
    ("labels", "classes", "weight", "message"),
    [
        (LABELS, 1, None, "num_classes is 1"),
        (LABELS[1:], 2, None, r"labels is int64 \(7,\), expected integers \(8,\)"),
        ([0.5] * 8, 3, None, "labels is float64"),
        (["1"] * 8, 2, None, r"labels is <U1 \(8,\), expected integers \(8,\), or floats"),
        ([True] * 8, 2, None, "labels is bool"),
        ([0.5] * 7 + [1.001], 2, None, "labels spans 0.5 to 1.001, expected 0 to 1"),
        ([0.5] * 7 + [-0.001], 2, None, "labels spans -0.001 to 0.5"),
        ([0.5] * 7 + [np.nan], 2, None, "labels spans nan to nan"),
        ([2] * 8, 2, None, "labels spans 2 to 2, expected 0 to 1"),
        ([-1] * 8, 2, None, "labels spans -1 to -1"),
        (LABELS, 2, [1.0] * 7, "sample_weight must be 8 numbers"),
        (LABELS, 2, [-1.0] * 8, "sample_weight must be 8 numbers"),
        (LABELS, 2, [np.nan] * 8, "sample_weight must be 8 numbers"),
        (LABELS, 2, [1e40] * 8, "sample_weight must be 8 numbers from 0 to 1e.29"),
    ],
)
def test_wrong_labels(labels: Any, classes: int, weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BagOfNgrams.fit(ROWS, labels, classes, sample_weight=weight)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"words": (0, 2)}, "words is"),
        ({"words": (3, 2)}, "words is"),
        ({"words": (1, 17)}, "words is"),
        ({"words": 3}, "words is"),
        ({"chars": (2,)}, "chars is"),
        ({"chars": "all"}, "chars is 'all'"),
        ({"C": 0.0}, "C is 0.0"),
        ({"C": float("nan")}, "C is nan"),
        ({"max_features": 0}, "max_features is 0"),
        ({"tolerance": 0.0}, "tolerance is 0.0"),
    ],
)
def test_wrong_options(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NgramOptions(**given)


def test_a_stable_choice_of_features() -> None:
    kept = counting.most_frequent(np.array([1, 3, 1, 2, 1]), 3)
    assert kept.tolist() == [True, True, False, True, False]


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grams, "BLOCK", 7)  # several blocks of these few texts
    found = []
    for threads in (1, 3):
        with runtime.num_threads(threads):
            made = LinearTraining(ROWS, LABELS, 2, NgramOptions(chars=(2, 4)))
            trials = list(made.trials(np.arange(6), np.array([6, 7]), (10.0, 30.0, 3.0, 1.0)))
        parts = [made.counts.rows, *made.features.keys]
        found.append(
            [*parts[0], *parts[1:], *(a for one in trials for a in (one[0].weights, one[1]))]
        )
    assert len(found[0]) == 3 + 2 + 8
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_hashes_are_made_before_threads_ask_for_them() -> None:
    rows = TokenRows.from_lists([["a", "b"], ["c"]])
    parts = grams.WordGrams(rows, (1, 2)).keys()
    assert "hashes" in vars(rows)
    assert len(parts[0]()) == 4


def test_an_error_beside_other_work_is_told() -> None:
    def half(number: int) -> int:
        if number == 2:
            raise ValueError("2 is not to be had")
        return number // 2

    with runtime.num_threads(2):
        assert list(side_by_side(half, [4, 6, 8])) == [2, 3, 4]
        with pytest.raises(ValueError, match="2 is not to be had"):
            list(side_by_side(half, [4, 2, 8, 10]))


def test_an_interrupt_ends_fits_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = list[int]()

    def endless(*given: Any, **options: Any) -> LogisticProblem:
        begun.append(1)
        if len(begun) == 2:  # both are at work
            os.kill(os.getpid(), signal.SIGINT)
        return LogisticProblem(*given, **{**options, "tolerance": 0.0, "max_epochs": 10**9})

    monkeypatch.setattr(training, "LogisticProblem", endless)
    texts, labels = draw(1000)
    made = LinearTraining(TokenRows.from_texts(texts), labels, 2)
    with runtime.num_threads(2), pytest.raises(KeyboardInterrupt):
        list(made.trials(np.arange(900), np.arange(900, 1000), (10.0, 30.0)))
    assert not [one for one in enumerate_threads() if one.name.startswith("fastlstm-linear")]


def test_closing_ends_what_nobody_waits_for() -> None:
    def until_told(number: int) -> int:
        told = ending()
        assert told is not None
        while number and not told[0]:
            pass
        return number

    with runtime.num_threads(2):
        found = side_by_side(until_told, range(100))
        assert next(found) == 0
        found.close()
    assert not [one for one in enumerate_threads() if one.name.startswith("fastlstm-linear")]
    assert ending() is None
