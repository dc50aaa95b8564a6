"""What `fit` takes as labels: equal numbers are one class, and none may be missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from fastlstm.sklearn import LSTMClassifier

TEXTS = ["good film", "bad film", "fine", "poor"] * 3
SMALL: dict[str, Any] = {"epochs": 1, "hidden_size": 4, "embedding_dim": 4, "random_state": 0}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1, 1.0, 0, 0.0], [0, 1]),
        ([True, 1, 0, False], [0, 1]),
        ([True, False, True, False], [False, True]),
        (["1", "0", "01", "0"], ["0", "01", "1"]),
        (np.array(["b", "a", "b", "a"], dtype=object), ["a", "b"]),
    ],
)
def test_classes(labels: Any, classes: list[Any]) -> None:
    y = np.tile(labels, 3) if isinstance(labels, np.ndarray) else labels * 3
    model = LSTMClassifier(**SMALL).fit(TEXTS, y)
    assert model.classes_.tolist() == classes
    assert set(model.predict(TEXTS)) <= set(classes)


class NAType:
    """As pandas has it."""


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), NAType()])
@pytest.mark.parametrize("names", [["a", "b", "a"], [0, 1, 1]])
@pytest.mark.parametrize("kind", [list, tuple, lambda y: np.array(y, dtype=object)])
def test_missing_labels(kind: Any, names: list[Any], missing: Any) -> None:
    with pytest.raises(ValueError, match=r"y contains NaN or None, in 3 rows \(3, 7, 11\)"):
        LSTMClassifier(**SMALL).fit(TEXTS, kind([*names, missing] * 3))


@pytest.mark.parametrize("other", [1, 1.0, True])
def test_text_and_numbers(other: Any) -> None:
    with pytest.raises(
        ValueError, match=f"y has text such as '1' and other labels such as {other}"
    ):
        LSTMClassifier(**SMALL).fit(TEXTS, ["1", other, "0", "0"] * 3)


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        ([2**53, 2**53 + 1, 2**53], "Int64", [2**53, 2**53 + 1]),
        ([3, 1, 1], "category", [1, 3]),
        ([True, False, True], "boolean", [False, True]),
    ],
)
def test_labels_of_pandas_are_what_they_are(values: Any, kind: str, classes: list[Any]) -> None:
    pandas = pytest.importorskip("pandas")
    y = pandas.Series(values * 4, dtype=kind)
    model = LSTMClassifier(**SMALL).fit(TEXTS, y)
    assert model.classes_.tolist() == classes
    assert model.classes_.dtype.kind in "bi"
    assert model.predict(TEXTS).dtype == model.classes_.dtype
    assert 0 <= model.score(TEXTS, y) <= 1


@pytest.mark.parametrize(
    ("values", "advice"),
    [([1, 0], "int"), ([True, False], "bool"), ([2**70, 1], "int"), ([1j, 2], "str")],
)
def test_labels_that_are_objects_are_told(values: list[Any], advice: str) -> None:
    y = np.array(values * 6, dtype=object)
    with pytest.raises(ValueError, match=rf"y\[0\] is .*, in an array of .*astype\({advice}\)"):
        LSTMClassifier(**SMALL).fit(TEXTS, y)


def test_missing_labels_of_an_array_of_floats() -> None:
    y = np.array([1.0, 0.0, np.nan] * 4)
    with pytest.raises(ValueError, match=r"y contains NaN or None, in 4 rows \(2, 5, 8, 11\)"):
        LSTMClassifier(**SMALL).fit(TEXTS, y)
