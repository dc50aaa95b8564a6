"""Pretrained word vectors of LSTMClassifier: files and mappings, learned and frozen."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastlstm.sklearn import LSTMClassifier

BAD, GOOD = [1.0, 0.0, 0.5], [-1.0, 0.5, 0.0]
VECTORS = {"BAD": BAD, "awful": BAD, "good": GOOD, "fine": GOOD, "poor": BAD, "nice": GOOD}


def with_vectors(**options: Any) -> Any:
    given = {"vectors": VECTORS, "epochs": 3, **options}
    given.setdefault("embedding_dim", 64)
    return small(**given)


def table(model: Any) -> dict[str, np.ndarray]:
    weight = model.model_.embedding.weight.data
    return dict(zip(model.reader_.vocabulary.words, weight, strict=True))


def test_frozen_vectors_of_the_estimator() -> None:
    texts, labels = opinions(64)
    model = with_vectors(freeze_vectors=True, epochs=30, pooling="last").fit(texts, labels)
    words = table(model)
    for word, vector in VECTORS.items():
        np.testing.assert_allclose(words[word.lower()], vector)
    assert model.reader_.vocabulary.words[-2:] == ["poor", "nice"]
    assert not words["<pad>"].any()
    expected = ["no", "yes", "yes", "no"]
    said = model.predict(["this is poor", "this was nice", "this is not poor", "this is not nice"])
    assert said.tolist() == expected
    assert (
        "poor"
        not in with_vectors(freeze_vectors=True, vocab_size=10)
        .fit(texts, labels)
        .reader_.vocabulary
    )
    assert pickle.loads(pickle.dumps(model)).predict(["this is poor"]).tolist() == ["no"]


def test_learned_vectors_of_the_estimator() -> None:
    texts, labels = opinions(32)
    model = with_vectors(lr=0.001).fit(texts, labels)
    words = table(model)
    assert "poor" not in words
    assert 0 < abs(words["bad"] - BAD).max() < 0.05
    others = np.array([words[word] for word in ("this", "is", "was", "not", "<unk>")])
    spread = np.std([VECTORS[word] for word in ("BAD", "awful", "good", "fine")])
    assert others.std() == pytest.approx(spread, rel=0.5)
    assert model.model_.embedding.embedding_dim == 3


def test_a_file_and_a_mapping_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "v.txt"
    file.write_text("\n".join(" ".join([w, *map(str, v)]) for w, v in VECTORS.items()))
    texts, labels = opinions(32)
    for freeze in (False, True):
        expected = with_vectors(freeze_vectors=freeze).fit(texts, labels).predict_proba(texts)
        for path in (file, str(file)):
            model = with_vectors(freeze_vectors=freeze, vectors=path).fit(texts, labels)
            np.testing.assert_array_equal(model.predict_proba(texts), expected)
    file.unlink()
    np.testing.assert_array_equal(model.predict_proba(texts), expected)


def test_vectors_are_a_parameter_like_any_other() -> None:
    texts, labels = opinions(32)
    model = with_vectors(epochs=1)
    assert model.get_params()["vectors"] is VECTORS
    assert clone(model).vectors == VECTORS
    assert LSTMClassifier().vectors is None
    grid = {"vectors": [None, VECTORS], "embedding_dim": [64]}
    found = GridSearchCV(small(epochs=1), grid, cv=2).fit(texts, labels)
    assert found.predict(texts).shape == (32,)
    piped = make_pipeline(FunctionTransformer(), model).fit(texts, labels)
    assert piped.predict(texts).shape == (32,)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"embedding_dim": 8}, ValueError, "embedding_dim is 8, but the vectors have 3 numbers"),
        ({"vectors": 3}, TypeError, "vectors is a int, expected a file or a mapping of words"),
        ({"vectors": {}}, ValueError, "the vectors have none of the 8 words of the texts"),
        ({"vectors": {"chat": [1, 2]}}, ValueError, "are they of another language?"),
        ({"vectors": {"bad": ["x"]}}, ValueError, "vectors['bad'] has shape (1,) and dtype <U1"),
        ({"vectors": "no/such.vec"}, FileNotFoundError, "no/such.vec"),
        ({"vectors": None, "freeze_vectors": True}, ValueError, "freeze_vectors is True without"),
    ],
)
def test_wrong_vectors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        with_vectors(**options).fit(*opinions(32))


def test_vectors_of_words_for_numbers() -> None:
    with pytest.raises(ValueError, match="vectors are of words, but X holds numbers"):
        with_vectors().fit(*slopes(8))
