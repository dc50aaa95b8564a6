"""What LSTMClassifier refuses, and what it says then."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small

from fastlstm.sklearn import LSTMClassifier, LSTMRegressor

TEXTS = ["a", "b", "c", "d"]
Y = [0, 1, 0, 1]

INPUTS: list[tuple[Any, Any, str]] = [
    ("one text", Y, "X is a str, expected a list of texts"),
    (["a", "b", 5, "d"], Y, "X[2] is 5, but other rows of X are texts"),
    (np.array([["a"], ["b"]], dtype=object), [0, 1], "X has shape (2, 1), expected one dimension"),
    (["", ""], [0, 1], "X has no words: nothing is left of its 2 texts"),
    ([], [], "X has no rows, expected at least one"),
    (TEXTS, [0, 1], "Found input variables with inconsistent numbers of samples: [4, 2]"),
    (TEXTS, ["x"] * 4, "y has one class only, 'x', expected at least two"),
    (TEXTS, None, "requires y to be passed, but the target y is None"),
    (TEXTS, [0.1, 0.2, 0.3, 0.4], "Unknown label type: continuous"),
    ([np.ones((2, 3)), np.ones((5, 2))], [0, 1], "X[1] has 2 features a step, X[0] has 3"),
    (iter(TEXTS), Y, "X is a list_iterator, expected a list of rows or an array"),
    (dict.fromkeys(TEXTS), Y, "X is a dict, expected a list of rows or an array"),
    (["a", b"b", "c", "d"], Y, "X[1] is b'b', which is bytes, expected text: decode it"),
    ([np.ones(2), np.ones(0)], [0, 1], "X[1] has shape (0,), expected at least one step"),
    ([np.ones(2), np.ones((1, 1, 1))], [0, 1], "X[1] has shape (1, 1, 1) and dtype float64"),
    ([np.ones(2), np.array([None])], [0, 1], "Input X contains NaN"),
    ([np.ones(2), np.array(["a", 1], object)], [0, 1], "X[1][0] is 'a', expected a number"),
    ([np.ones(2), np.full((1, 1, 1), None)], [0, 1], "X[1] has shape (1, 1, 1) and dtype object"),
    ([np.ones(2), np.array([1.0, np.nan])], [0, 1], "Input X contains NaN"),
    ([np.ones(2), np.array([1.0, np.inf])], [0, 1], "Input X contains infinity"),
    (np.full((4, 2, 3), np.nan), Y, "Input X contains NaN"),
    (np.ones((4, 0, 3)), Y, "X has shape (4, 0, 3), expected at least one step and one feature"),
    (np.ones(4), Y, "Expected 2D array, got 1D array instead"),
]


@pytest.mark.parametrize(("X", "y", "message"), INPUTS, ids=[i[2] for i in INPUTS])
def test_wrong_data(X: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        small(epochs=1).fit(X, y)


def test_columns_in_another_order_are_named() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = slopes(8, F=2)
    rows = [pandas.DataFrame(row, columns=["a", "b"]) for row in X]
    fitted = small(epochs=1).fit(rows, y)
    assert np.array_equal(fitted.predict_proba(rows), small(epochs=1).fit(X, y).predict_proba(X))
    turned = [row[["b", "a"]] for row in rows]
    with pytest.raises(ValueError, match="column 0 of X is 'b', which is column 1 in fit"):
        fitted.predict(turned)
    mixed = r"column 0 of X\[4\] is 'b', which is column 1 of X\[0\]"
    with pytest.raises(ValueError, match=mixed):
        small(epochs=1).fit([*rows[:4], *turned[4:]], y)


def test_too_large_a_number_for_the_dtype() -> None:
    rows = [np.array([1e150]), np.array([1.0])]
    with pytest.raises(ValueError, match="Input X contains infinity"):
        small(epochs=1, standardize=False).fit(rows, [0, 1])
    small(epochs=1, standardize=False, dtype="float64", clip=0, lr=1e-9).fit(rows, [0, 1])


def test_data_of_another_kind_than_in_fit() -> None:
    of_texts, of_series = small(epochs=1).fit(*opinions(8)), small(epochs=1).fit(*slopes(8, F=2))
    with pytest.raises(ValueError, match="X holds no texts, expected some as in fit"):
        of_texts.predict(slopes(4)[0])
    with pytest.raises(ValueError, match="X holds texts, expected numbers as in fit"):
        of_series.predict(["a text"])
    with pytest.raises(ValueError, match="X has 1 feature a step, expected 2 as in fit"):
        of_series.predict(slopes(4)[0])


OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"cell": "cnn"}, ValueError, "cell is 'cnn', expected one of lstm, gru, rnn"),
    ({"hidden_size": 0}, ValueError, "hidden_size is 0, expected at least 1"),
    ({"hidden_size": 2.5}, TypeError, "hidden_size is 2.5, expected an integer"),
    ({"pooling": "sum"}, ValueError, "pooling is 'sum', expected one of last, mean, max"),
    ({"dropout": 3}, ValueError, "dropout is 3, expected 0 to 1"),
    ({"analyzer": "sentence"}, ValueError, "analyzer is 'sentence', expected one of auto, word,"),
    ({"vocab_size": 2}, ValueError, "vocab_size is 2, expected at least 3"),
    ({"word_dropout": 1}, ValueError, "word_dropout is 1, expected at least 0 and below 1"),
    ({"max_length": 0}, ValueError, "max_length is 0, expected at least 1"),
    (
        {"truncate": "last", "max_length": 2},
        ValueError,
        "truncate is 'last', expected one of fir",
    ),
    ({"optimizer": "lbfgs"}, ValueError, "optimizer is 'lbfgs', expected one of adam, adamw, sgd"),
    ({"lr": -1}, ValueError, "lr is -1, expected at least 0"),
    ({"schedule": "step"}, ValueError, "schedule is 'step', expected one of constant, linear"),
    ({"clip": -1}, ValueError, "clip is -1, expected a positive number, or 0 for none"),
    ({"average": 1.0}, ValueError, "average is 1.0, expected at least 0 and below 1"),
    ({"batch_size": 0}, ValueError, "batch_size is 0, expected at least 1"),
    ({"epochs": 0}, ValueError, "epochs is 0, expected at least 1"),
    ({"validation_fraction": 1.0}, ValueError, "validation_fraction is 1.0, expected at least 0"),
    ({"patience": 2}, ValueError, "patience is 2 but there is no validation data"),
    ({"dtype": "float16"}, ValueError, "dtype is 'float16', expected float32 or float64"),
    ({"n_threads": 0}, ValueError, "n_threads is 0, expected at least 1"),
    ({"class_weight": "equal"}, ValueError, "class_weight"),
]


@pytest.mark.parametrize(("options", "error", "message"), OPTIONS, ids=[str(o[0]) for o in OPTIONS])
def test_wrong_parameters(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        small(**{"epochs": 1, **options}).fit(*opinions(8))


def test_training_that_diverges_is_told() -> None:
    with pytest.raises(FloatingPointError, match="try a smaller learning rate"):
        small(epochs=5, lr=1e38, clip=0).fit(*slopes())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_told_by_its_place(value: float) -> None:
    pandas = pytest.importorskip("pandas")
    what = "NaN" if np.isnan(value) else "infinity"
    table, cube = np.ones((4, 3)), np.ones((4, 2, 3))
    table[2, 1] = cube[3, 1, 0] = value
    ragged = [np.ones((3, 2)), np.ones((2, 2)), np.array([[1, 2], [3, value]]), np.ones((1, 2))]
    flat = [np.ones(3), np.ones(2), np.array([1, value]), np.ones(1)]
    for X, place in (
        (table, r"\[2, 1\]:"),
        (pandas.DataFrame(table, columns=["a", "b", "c"]), r"\[2, 1\] in the column 'b':"),
        (pandas.DataFrame(table), r"\[2, 1\] in the column '1':"),
        (cube, r"\[3, 1, 0\]:"),
        (ragged, r"\[2, 1, 1\]:"),
        (flat, r"\[2, 1\]:"),
        (
            [pandas.DataFrame(one, columns=["u", "v"]) for one in ragged],
            r"\[2, 1, 1\] in the column 'v':",
        ),
    ):
        for estimator in (LSTMClassifier(epochs=1), LSTMRegressor(epochs=1)):
            with pytest.raises(ValueError, match=rf"Input X contains {what}, first in X{place}"):
                estimator.fit(X, [0, 1, 0, 1])


def test_tables_of_whole_series_are_refused_in_a_line() -> None:
    pandas = pytest.importorskip("pandas")
    series = [pandas.Series(np.ones(5)) for _ in range(4)]
    for cells in (series, [np.ones(5)] * 4, [[1.0] * 5] * 4):
        X = pandas.DataFrame({"dim_0": cells, "dim_1": cells})
        told = r"X\[0, 0\] in the column 'dim_0' is a \w+, expected a number: a cell holds one; put"
        with pytest.raises(TypeError, match=told) as error:
            LSTMRegressor(epochs=1).fit(X, [0, 1, 0, 1])
        assert "\n" not in str(error.value)
    stacked = [np.stack(list(row), axis=1) for row in X.to_numpy()]
    LSTMRegressor(epochs=1).fit(stacked, [0, 1, 0, 1])
