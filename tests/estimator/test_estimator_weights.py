"""`sample_weight` and `class_weight`: what counts more, and what not at all."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small
from sklearn import config_context
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

PROBLEMS = pytest.mark.parametrize("problem", [opinions, slopes])
WHOLE: dict[str, Any] = {"batch_size": 1000, "dtype": "float64", "epochs": 5}


@PROBLEMS
@pytest.mark.parametrize("weight", [1, 0.1, np.float32(7), 1e300, 5e-324])
def test_equal_sample_weights_have_the_bits_of_none(problem: Any, weight: Any) -> None:
    X, y = problem(24)
    options: dict[str, Any] = {"epochs": 2, "dropout": 0.3, "validation_fraction": 0.25}
    expected = small(**options).fit(X, y).predict_proba(X)
    for given in (weight, np.full(24, weight), [weight] * 24):
        found = small(**options).fit(X, y, sample_weight=given).predict_proba(X)
        np.testing.assert_array_equal(found, expected)
    balanced = [*range(12)] * 2  # every class as often: "balanced" weights are equal, too
    plain, weighted = (
        small(epochs=1, class_weight=w).fit(X, np.array(balanced) % 2).predict_proba(X)
        for w in (None, "balanced")
    )
    np.testing.assert_array_equal(weighted, plain)


@PROBLEMS
def test_a_sample_weight_of_0_leaves_out(problem: Any) -> None:
    X, y = problem(36)
    kept = np.arange(36) % 3 > 0
    X_kept, y_kept = [x for x, keep in zip(X, kept, strict=True) if keep], np.array(y)[kept]
    for weights in (kept.astype(float), kept * np.linspace(1, 2, 36)):
        expected = small(epochs=2).fit(X_kept, y_kept, sample_weight=weights[kept])
        found = small(epochs=2).fit(X, y, sample_weight=weights)
        np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    rare = ["never", *y[1:]] if isinstance(y[0], str) else np.array([9, *y[1:]])
    found = small(epochs=1).fit(X, rare, sample_weight=np.arange(36) > 0)
    assert len(found.classes_) == len(set(y))


@PROBLEMS
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_whole_sample_weights_are_copies(problem: Any, class_weight: Any) -> None:
    X, y = problem(24)
    weights = np.random.default_rng(0).integers(0, 4, 24)
    copies = np.repeat(np.arange(24), weights)
    model = small(**WHOLE, parts="net", class_weight=class_weight)
    expected = model.fit([X[n] for n in copies], [y[n] for n in copies]).predict_proba(X)
    found = model.fit(X, y, sample_weight=weights).predict_proba(X)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    plain = small(**WHOLE, parts="net").fit(X, y).predict_proba(X)
    assert abs(plain - expected).max() > 1e-3


def test_the_frequency_of_words_is_weighted() -> None:
    texts, weights = ["often often often", "seldom", "other"], [1.0, 4.0, 2.0]
    model = small(epochs=1, vocab_size=3)
    assert model.fit(texts, [0, 1, 0]).reader_.vocabulary.words[2:] == ["often"]
    weighted = model.fit(texts, [0, 1, 0], sample_weight=weights)
    assert weighted.reader_.vocabulary.words[2:] == ["seldom"]


def test_sample_weights_are_learned_from() -> None:
    rows, labels = slopes(60)
    labels = labels > 1
    wrong = np.random.default_rng(0).random(60) < 0.7
    told = labels ^ wrong
    scores = [
        small(epochs=15).fit(rows, told, sample_weight=weights).score(rows, labels)
        for weights in (None, np.where(wrong, 0.01, 1.0))
    ]
    assert scores[0] < 0.5
    assert scores[1] == 1


def test_the_best_epoch_is_that_of_the_weighted_part_held_back() -> None:
    rows, labels = slopes(60)
    weights = np.linspace(0.1, 3, 60)
    model = small(epochs=4, validation_fraction=0.25).fit(rows, labels, sample_weight=weights)
    plain = small(epochs=4, validation_fraction=0.25).fit(rows, labels)
    held_back = 15
    accuracies = [epoch.validation_accuracy for epoch in model.history_.epochs]
    assert any(round(a * held_back) != pytest.approx(a * held_back) for a in accuracies)
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    assert accuracies != [epoch.validation_accuracy for epoch in plain.history_.epochs]
    assert model.history_.best == max(model.history_.epochs, key=lambda epoch: epoch.score).epoch


def test_class_weights_times_sample_weights() -> None:
    rows, labels = slopes(30)
    classes = {0: 1.0, 1: 2.0, 2: 0.5}
    by_class = small(epochs=2, class_weight=classes).fit(rows, labels)
    by_row = small(epochs=2, standardize=False)
    weights = np.array([classes[label] for label in labels])
    np.testing.assert_array_equal(
        small(epochs=2, class_weight=classes, standardize=False).fit(rows, labels).predict(rows),
        by_row.fit(rows, labels, sample_weight=weights).predict(rows),
    )
    own = np.linspace(1, 2, 30)
    both = small(epochs=2, class_weight=classes).fit(rows, labels, sample_weight=own)
    assert (both.predict_proba(rows) != by_class.predict_proba(rows)).any()


def test_score_takes_sample_weights() -> None:
    rows, labels = slopes(30)
    model = small(epochs=3).fit(rows, labels)
    right = model.predict(rows) == labels
    weights = np.linspace(0, 1, 30)
    expected = weights[right].sum() / weights.sum()
    assert model.score(rows, labels, sample_weight=weights) == pytest.approx(expected)


def test_sample_weights_are_routed() -> None:
    texts, labels = opinions(24)
    weights = np.linspace(0.1, 1, 24)
    expected = small(epochs=1).fit(texts, labels, sample_weight=weights).predict_proba(texts)
    with config_context(enable_metadata_routing=True):
        model = small(epochs=1).set_fit_request(sample_weight=True)
        routed = make_pipeline(FunctionTransformer(), model)
        routed.fit(texts, labels, sample_weight=weights)
        np.testing.assert_array_equal(routed.predict_proba(texts), expected)
        scored = model.set_score_request(sample_weight=True)
        search = GridSearchCV(scored, {"hidden_size": [2, 4]}, cv=2)
        assert search.fit(texts, labels, sample_weight=weights).predict(texts).shape == (24,)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0] * 7, "sample_weight has shape (7,), expected (8,)"),
        (np.ones((8, 1)), "sample_weight has shape (8, 1), expected (8,)"),
        ([1.0, -2.0] * 4, "sample_weight[1] is -2.0, expected at least 0"),
        (np.zeros(8), "sample_weight is zero for every row: nothing would count"),
        (0, "sample_weight is zero for every row"),
        ([1.0, np.nan] * 4, "Input sample_weight contains NaN"),
        ([1.0, np.inf] * 4, "Input sample_weight contains infinity"),
        (["much"] * 8, "could not convert string to float"),
    ],
)
def test_wrong_sample_weights(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        small(epochs=1).fit(*opinions(8), sample_weight=weights)


@pytest.mark.parametrize("weight", [{0: -1, 1: 1}, {0: np.nan, 1: 1}])
def test_wrong_class_weights(weight: Any) -> None:
    with pytest.raises(ValueError, match="class_weight is .*, expected a number of at least 0"):
        small(epochs=1, class_weight=weight).fit(slopes(8)[0], [0, 1] * 4)


def test_class_weights_of_0_for_all_that_is_there() -> None:
    with pytest.raises(ValueError, match="the weights are all 0"):
        small(epochs=1, class_weight={0: 0, 1: 0}).fit(slopes(8)[0], [0, 1] * 4)
