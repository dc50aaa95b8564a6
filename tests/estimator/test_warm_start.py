"""`warm_start`: a fit that goes on from the last one."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small
from sklearn.base import clone

STILL: dict[str, Any] = {"lr": 1e-12, "epochs": 1, "warm_start": True}


def learned(problem: Any, **options: Any) -> Any:
    return small(epochs=30, pooling="last", **options).fit(*problem(64))


@pytest.mark.parametrize("problem", [opinions, slopes])
def test_a_warm_start_goes_on_with_what_was_learned(problem: Any) -> None:
    model, few = learned(problem), [rows[:6] for rows in problem(48, seed=5)]
    X, y = problem(48, seed=1)
    before = model.decision_function(X)
    again = pickle.loads(pickle.dumps(model)).set_params(**STILL).fit(*few)
    np.testing.assert_allclose(again.decision_function(X), before, rtol=1e-4, atol=1e-4)
    assert again.classes_.tolist() == model.classes_.tolist()
    assert model.set_params(warm_start=True, epochs=1, lr=0.001).fit(*few).score(X, y) == 1
    assert (model.decision_function(X) != before).any()
    assert clone(model).set_params(epochs=1).fit(*few).score(X, y) < 1


def test_the_first_fit_with_a_warm_start_is_as_any() -> None:
    X, y = opinions(24)
    plain, warm = (small(epochs=2, warm_start=w).fit(X, y).predict_proba(X) for w in (False, True))
    np.testing.assert_array_equal(warm, plain)
    cold = learned(opinions).set_params(epochs=2, pooling="mean+max").fit(X, y)
    np.testing.assert_array_equal(cold.predict_proba(X), plain)


def test_new_words_follow_the_known_ones() -> None:
    model = learned(opinions)
    words, table = model.reader_.vocabulary.words, model.model_.embedding.weight.data
    texts, labels = ["this is fresh and new", "this is not fresh"] * 4, ["yes", "no"] * 4
    grown = pickle.loads(pickle.dumps(model)).set_params(**STILL).fit(texts, labels)
    assert grown.reader_.vocabulary.words == [*words, "fresh", "and", "new"]
    np.testing.assert_allclose(grown.model_.embedding.weight.data[: len(words)], table, atol=1e-6)
    assert abs(grown.model_.embedding.weight.data[len(words) :]).min() > 0
    full = pickle.loads(pickle.dumps(model)).set_params(**STILL, vocab_size=len(words) + 1)
    assert full.fit(texts, labels).reader_.vocabulary.words == [*words, "fresh"]
    less = pickle.loads(pickle.dumps(model)).set_params(**STILL, vocab_size=3)
    assert less.fit(texts, labels).reader_.vocabulary.words == words
    frozen = model.set_params(warm_start=True, epochs=2, freeze_vectors=True).fit(texts, labels)
    assert frozen.reader_.vocabulary.words == words
    np.testing.assert_array_equal(frozen.model_.embedding.weight.data, table)


def test_pretrained_vectors_are_not_read_again() -> None:
    vectors = {"bad": [1.0, 0.0], "good": [0.0, 1.0]}
    model = small(epochs=5, vectors=vectors, embedding_dim=64).fit(*opinions(32))
    table = model.model_.embedding.weight.data
    model.set_params(**STILL, vectors={}).fit(*opinions(32))
    np.testing.assert_allclose(model.model_.embedding.weight.data, table, atol=1e-6)


def test_the_scale_of_numbers_is_kept() -> None:
    model = learned(slopes)
    mean, scale = model.reader_.mean, model.reader_.scale
    rows, labels = slopes(24, seed=3)
    model.set_params(**STILL).fit([row * 2 for row in rows], labels)
    np.testing.assert_array_equal(model.reader_.mean, mean)
    np.testing.assert_array_equal(model.reader_.scale, scale)
    with pytest.raises(ValueError, match="X has 2 features a step, expected 1 as in fit"):
        model.fit(*slopes(24, F=2))


@pytest.mark.parametrize("weight", [None, "balanced", {0: 1.0, 1: 2.0, 2: 1.0}])
def test_classes_that_are_known_keep_the_head(weight: Any) -> None:
    model = learned(slopes)
    rows, labels = slopes(48, seed=2)
    some = labels < 2
    few = [row for row, is_some in zip(rows, some, strict=True) if is_some]
    model.set_params(**STILL, class_weight=weight).fit(few, labels[some])
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.score(rows, labels) == 1


def test_a_new_class_makes_a_new_head() -> None:
    model = learned(slopes)
    before = model.model_.state_dict()
    rows, labels = slopes(48, seed=2)
    names = np.array(["falls", "stays", "rises"])
    model.set_params(**STILL).fit(rows, names[labels])
    after = model.model_.state_dict()
    assert model.classes_.tolist() == sorted(names)
    assert abs(after["head.weight"] - before["head.weight"]).min() > 0
    np.testing.assert_allclose(after["lstm.weight_hh_l0"], before["lstm.weight_hh_l0"], atol=1e-6)
    model.set_params(lr=0.02, epochs=10).fit(rows, labels > 1)
    assert model.model_.num_outputs == 1
    assert model.score(rows, labels > 1) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "gru"}, "cell is 'gru', but warm_start goes on with the weights of the last fit"),
        (
            {"hidden_size": 9},
            "hidden_size is 9, but warm_start goes on with the weights of the last",
        ),
        ({"pooling": "max"}, "pooling is 'max', but warm_start goes on"),
        ({"dtype": "float64"}, "dtype is 'float64', but warm_start goes on"),
        ({"analyzer": "char"}, "analyzer is 'char', but warm_start goes on"),
        ({"embedding_dim": 9}, "embedding_dim is 9, but the vectors have 8 numbers"),
    ],
)
def test_parameters_that_contradict_a_warm_start(options: dict[str, Any], message: str) -> None:
    model = small(epochs=1, embedding_dim=8).fit(*opinions(8))
    model.set_params(warm_start=True, **options)
    with pytest.raises(ValueError, match=re.escape(message)):
        model.fit(*opinions(8))


def test_a_warm_start_with_the_other_kind() -> None:
    model = small(epochs=1, warm_start=True).fit(*opinions(8))
    with pytest.raises(ValueError, match="weights of the last fit, of texts, but X holds numbers"):
        model.fit(*slopes(8))
    model = small(epochs=1, warm_start=True).fit(*slopes(8))
    with pytest.raises(ValueError, match="weights of the last fit, of numbers, but X holds texts"):
        model.fit(*opinions(8))


def test_the_analyzer_that_was_chosen_stays() -> None:
    model = small(epochs=1, warm_start=True).fit(["这个好", "那个坏"], ["yes", "no"])
    words = model.reader_.vocabulary.words
    model.fit(["good 好 text", "bad text 这个"], ["yes", "no"])
    assert model.reader_.rule == model.reader_.vocabulary.analyzer == "mixed"
    assert model.reader_.vocabulary.words[: len(words)] == words
    assert "这个" not in model.reader_.vocabulary
