"""`precision` of LSTMClassifier: of fit, and of prediction after it."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

PROBLEMS = pytest.mark.parametrize("problem", [opinions, slopes])


@PROBLEMS
def test_fit_and_predict_in_bfloat16(problem: Any) -> None:
    X, y = problem(32)
    rounded, plain = (small(epochs=3, precision=p).fit(X, y) for p in ("bfloat16", "float32"))
    assert rounded.model_.recurrent.precision == rounded.model_.head.precision == "bfloat16"
    proba = rounded.predict_proba(X)
    assert not np.array_equal(proba, plain.predict_proba(X))
    np.testing.assert_allclose(proba, plain.predict_proba(X), rtol=0, atol=0.05)
    assert {value.dtype.name for value in rounded.model_.state_dict().values()} == {"float32"}


@PROBLEMS
def test_prediction_in_another_precision_than_fit(problem: Any) -> None:
    X, y = problem(32)
    model = small(epochs=3).fit(X, y)
    before = model.predict_proba(X)
    for precision in ("int8", "bfloat16"):
        proba = model.set_params(precision=precision).predict_proba(X)
        assert not np.array_equal(proba, before)
        np.testing.assert_allclose(proba, before, rtol=0, atol=0.03)
    np.testing.assert_array_equal(model.set_params(precision="float32").predict_proba(X), before)


def test_it_is_learned_as_well() -> None:
    X, y = opinions(96)
    model = small(epochs=25, precision="bfloat16").fit(X, y)
    assert model.score(*opinions(96, seed=1)) > 0.95
    assert model.set_params(precision="int8").score(*opinions(96, seed=1)) > 0.95


def test_it_is_a_parameter_like_any_other() -> None:
    model = small(precision="bfloat16")
    assert model.get_params()["precision"] == "bfloat16"
    assert clone(model).precision == "bfloat16"
    assert small().get_params()["precision"] == "float32"
    found = GridSearchCV(small(epochs=1), {"precision": ["float32", "bfloat16"]}, cv=2)
    assert found.fit(*slopes(16)).best_params_["precision"] in ("float32", "bfloat16")


def test_a_pickle_keeps_it() -> None:
    X, y = slopes(16)
    model = small(epochs=1, precision="bfloat16").fit(X, y).set_params(precision="int8")
    again = pickle.loads(pickle.dumps(model))
    assert again.precision == "int8"
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_a_pickle_of_before() -> None:
    X, y = slopes(16)
    model = small(epochs=1).fit(X, y)
    expected = model.predict_proba(X)
    del model.precision
    again = pickle.loads(pickle.dumps(model))
    assert again.get_params()["precision"] == "float32"
    np.testing.assert_array_equal(again.predict_proba(X), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"precision": "int8"},
            "precision is 'int8', in which a net cannot be trained: fit with 'float32' or "
            "'bfloat16', then set_params(precision='int8') to predict",
        ),
        ({"precision": "half"}, "precision is 'half', expected one of float32, bfloat16, int8"),
        (
            {"precision": "bfloat16", "dtype": "float64"},
            "precision is 'bfloat16' with arrays of float64, expected 'float32'",
        ),
    ],
)
def test_what_fit_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        small(epochs=1, **options).fit(*opinions(8))


def test_what_prediction_refuses() -> None:
    X, y = slopes(8)
    model = small(epochs=1, dtype="float64").fit(X, y)
    expected = model.predict_proba(X)
    for precision, message in (("int8", "with arrays of float64"), ("half", "expected one of")):
        with pytest.raises(ValueError, match=f"^precision is '{precision}'.*{message}"):
            model.set_params(precision=precision).predict(X)
    np.testing.assert_array_equal(model.set_params(precision="float32").predict_proba(X), expected)
