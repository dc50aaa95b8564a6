"""Parameters of LSTMClassifier that do nothing beside others: the user is told."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small
from sklearn.base import clone

from fastlstm.sklearn import LSTMClassifier

OF_NETS: dict[str, Any] = {
    "cell": "gru", "hidden_size": 9, "num_layers": 2, "pooling": "max", "dropout": 0.2,
    "vocab_size": 99, "embedding_dim": 9, "embedding_dropout": 0.2, "word_dropout": 0.2,
    "max_length": 9, "optimizer": "sgd", "lr": 0.1, "weight_decay": 0.1, "schedule": "cosine",
    "clip": 2.0, "average": 0.9, "batch_size": 9, "epochs": 9, "patience": 2, "warm_start": True,
    "dtype": "float64", "precision": "bfloat16",
}  # fmt: skip
OF_WORDS = {name: OF_NETS[name] for name in ("vocab_size", "embedding_dim", "embedding_dropout",
                                             "word_dropout")}  # fmt: skip


def told(model: Any, X: Any, y: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.fit(X, y)
    return [str(warning.message) for warning in found]


def test_those_of_a_net_are_named_where_there_is_none() -> None:
    model = LSTMClassifier(parts="linear", **OF_NETS)
    (text,) = told(model, *opinions(16))
    names, why = text.split(" do nothing here: ")
    assert set(names.split(", ")) == OF_NETS.keys()
    assert why == "a linear part alone has no net"
    assert told(LSTMClassifier(parts="linear", hidden_size=9), *opinions(16)) == [
        "hidden_size does nothing here: a linear part alone has no net"
    ]


def test_nothing_is_told_where_all_is_used() -> None:
    for parts in ("joined", "net"):
        options = {**OF_NETS, "epochs": 1, "validation_fraction": 0.5, "precision": "float32"}
        assert told(LSTMClassifier(parts=parts, truncate="ends", **options), *opinions(16)) == []
    assert told(LSTMClassifier(parts="linear", lr=float("5e-3")), *opinions(16)) == []
    none = {"dropout": 0.0, "word_dropout": 0.0, "clip": 0, "bidirectional": False}
    used = {"analyzer": "char", "validation_fraction": 0.2, "class_weight": "balanced"}
    assert told(LSTMClassifier(parts="linear", **none, **used), *opinions(16)) == []


def test_those_of_words_are_named_for_numbers() -> None:
    (text,) = told(small(epochs=1, analyzer="char", **OF_WORDS), *slopes(8))
    names, why = text.split(" do nothing here: ")
    assert set(names.split(", ")) == {"analyzer", "word_dropout", *OF_WORDS.keys()}
    assert why == "X holds numbers, not words"
    assert told(small(epochs=1), *slopes(8)) == []


@pytest.mark.parametrize("problem", [opinions, slopes])
def test_nothing_is_cut_without_a_length(problem: Any) -> None:
    expected = ["truncate does nothing here: no text is cut without a limit"]
    assert told(small(epochs=1, truncate="ends"), *problem(8)) == expected
    assert told(small(epochs=1, truncate="ends", max_length=3), *problem(8)) == []


def test_vectors_that_nothing_begins_with_are_an_error() -> None:
    X, y = opinions(16)
    vectors = {word: np.ones(4) for word in "this is good bad".split()}
    with pytest.raises(ValueError, match="vectors are for a net to begin with, but parts is 'lin"):
        small(parts="linear", vectors=vectors).fit(X, y)
    with pytest.raises(ValueError, match="vectors are for a net to begin with, but parts is 'lin"):
        small(parts="linear", vectors="no such file").fit(X, y)
    with pytest.raises(ValueError, match="freeze_vectors is True without vectors"):
        small(parts="linear", freeze_vectors=True).fit(X, y)


def test_the_precision_of_no_net() -> None:
    X, y = opinions(16)
    model = small(parts="linear").fit(X, y)
    expected = model.predict_proba(X)
    with pytest.warns(UserWarning, match="precision does nothing here: there is no net"):
        found = model.set_params(precision="int8").predict_proba(X)
    np.testing.assert_array_equal(found, expected)


def test_a_subclass_has_its_own_defaults() -> None:
    class Mine(LSTMClassifier):
        def __init__(self, *, parts: str = "linear", epochs: int = 3, name: Any = None) -> None:
            super().__init__(parts=parts, epochs=epochs)
            self.name = name

    assert told(Mine(), *opinions(16)) == []
    assert len(told(clone(Mine(epochs=4, name=np.ones(2))), *opinions(16))) == 1
