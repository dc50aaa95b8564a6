"""Pretraining in LSTMClassifier, on texts with labels and without."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

OPTIONS: dict[str, Any] = {"pretrain": True, "epochs": 3, "parts": "net"}
MORE = [f"{text} only{n % 3}" for n, text in enumerate(opinions(60, seed=1)[0])]


def weights(model: Any) -> dict[str, Any]:
    return {name: np.array(value) for name, value in model.model_.state_dict().items()}


def test_words_of_texts_without_a_label_are_known() -> None:
    X, y = opinions()
    model = small(**OPTIONS).fit(X, y, unlabelled=MORE)
    known = small(**OPTIONS).fit(X, y).reader_.vocabulary.words
    words = model.reader_.vocabulary.words
    assert words[: len(known)] == known
    assert sorted(words[len(known) :]) == ["only0", "only1", "only2"]
    few = small(**OPTIONS, vocab_size=len(known) + 1).fit(X, y, unlabelled=MORE)
    assert few.reader_.vocabulary.words == [*known, "only0"]


@pytest.mark.parametrize("options", [{}, {"bidirectional": False}, {"cell": "gru"}])
def test_training_begins_with_what_was_pretrained(options: dict[str, Any]) -> None:
    X, y = opinions()
    still: dict[str, Any] = {**OPTIONS, **options, "lr": 1e-30}
    random = small(**{**still, "pretrain": False}).fit(X, y)
    begun = small(**still).fit(X, y)
    more = small(**still).fit(X, y, unlabelled=[*X[:5]])
    assert weights(random)["head.weight"].tolist() == weights(begun)["head.weight"].tolist()
    for name in ("embedding.weight", f"{options.get('cell', 'lstm')}.weight_hh_l0"):
        assert abs(weights(begun)[name] - weights(random)[name]).max() > 1e-3
        assert not np.array_equal(weights(begun)[name], weights(more)[name])


def test_a_seed_gives_the_same_bits() -> None:
    X, y = opinions()
    one, other = (small(**OPTIONS, n_threads=n).fit(X, y, unlabelled=MORE) for n in (1, 2))
    for name, value in weights(one).items():
        np.testing.assert_array_equal(value, weights(other)[name])


def test_pipelines_and_searches_pass_them_on() -> None:
    X, y = opinions()
    pipe = make_pipeline(FunctionTransformer(), small(**OPTIONS))
    pipe.fit(X, y, lstmclassifier__unlabelled=MORE)
    assert "only0" in pipe[-1].reader_.vocabulary
    search = GridSearchCV(small(**OPTIONS), {"pretrain_window": [1, 10]}, cv=2)
    search.fit(X, y, unlabelled=MORE)
    assert "only0" in search.best_estimator_.reader_.vocabulary


def test_a_warm_start_pretrains_once() -> None:
    X, y = opinions()
    model = small(**{**OPTIONS, "warm_start": True}).fit(X, y, unlabelled=MORE)
    before = weights(model)["embedding.weight"]
    model.set_params(lr=1e-30).fit(X, y)
    np.testing.assert_allclose(weights(model)["embedding.weight"], before, atol=1e-6)
    with pytest.raises(ValueError, match="unlabelled is for pretraining, but warm_start goes on"):
        model.fit(X, y, unlabelled=MORE)


X, Y = opinions(8)


@pytest.mark.parametrize(
    ("options", "given", "unlabelled", "told"),
    [
        ({"pretrain": False}, X, MORE, "unlabelled is for pretraining, but pretrain is False"),
        ({}, X, X, "unlabelled is X itself, expected other texts"),
        ({}, X, [], "unlabelled holds no texts, expected a list of them"),
        ({}, X, [1.0, 2.0], "unlabelled holds no texts, expected a list of them"),
        ({}, X, "one text", "unlabelled is a str, expected a list of texts"),
        ({}, X, ["a", 5], "unlabelled[1] is 5, but other rows of unlabelled are texts"),
        ({"parts": "linear", "epochs": 10}, X, MORE, "there is no net to pretrain"),
        ({"vectors": {"good": [1.0]}}, X, MORE, "leave it or vectors out"),
        ({}, slopes(8)[0], MORE, "X holds numbers: it is for texts"),
    ],
)
def test_what_is_refused(options: Any, given: Any, unlabelled: Any, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        small(**{**OPTIONS, **options}).fit(given, Y, unlabelled=unlabelled)
