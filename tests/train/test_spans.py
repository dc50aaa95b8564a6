"""Spans of labels, and how many are found."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.train.scoring.spans import Span, SpanScores, span_scores, spans


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-A", [("A", 0, 1)]),
        ("B-A I-A O B-B", [("A", 0, 2), ("B", 3, 4)]),
        ("B-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),
        ("B-A I-B I-B", [("A", 0, 1), ("B", 1, 3)]),
        ("O I-A I-A", [("A", 1, 3)]),
        ("B-x-y I-x-y", [("x-y", 0, 2)]),
    ],
)
def test_spans_of_labels(labels: str, expected: list[tuple[str, int, int]]) -> None:
    assert spans(labels.split()) == [Span(*one) for one in expected]


def test_scores_of_spans() -> None:
    true = ["B-A I-A O B-B", "O B-A", "O O"]
    said = ["B-A I-A O B-A", "B-A I-A", "O O"]
    found = span_scores([t.split() for t in true], [s.split() for s in said])
    assert found == SpanScores(3, 3, 1)
    assert found.precision == found.recall == found.f1 == pytest.approx(1 / 3)
    perfect = span_scores([["B-A", "B-A"]], [["B-A", "B-A"]])
    assert perfect.f1 == 1
    nothing = span_scores([["O"]], [["O"]])
    assert nothing.precision is nothing.recall is nothing.f1 is None
    assert SpanScores(2, 0, 0).f1 == 0


@pytest.mark.parametrize("label", ["A", "B", "B-", "O-", "O-A", "E-A", ""])
def test_what_is_no_label_of_spans(label: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"labels[1] is {label!r}, expected O, or B- or I-")
    ):
        spans(["O", label])


def test_as_many_labels_said_as_there_are() -> None:
    with pytest.raises(ValueError, match="said has other lengths than true"):
        span_scores([["O"]], [["O", "O"]])


@pytest.mark.parametrize("label", [1, np.int64(3), None, np.nan, b"O"])
def test_a_label_that_is_no_text_is_told(label: Any) -> None:
    told = re.escape(f"labels[1] is {label!r}, which is no text, expected O, or B- or I- and a")
    with pytest.raises(TypeError, match=told):
        spans(["O", label])
    with pytest.raises(TypeError, match=re.escape(f"said[1][1] is {label!r}, which is no text")):
        span_scores([["O"], ["O", "O"]], [["O"], ["O", label]])


def test_labels_that_are_one_text_or_of_one_sequence_are_no_letters() -> None:
    with pytest.raises(TypeError, match="labels is 'O O', expected a list of labels such as"):
        spans("O O")
    with pytest.raises(TypeError, match="labels is 3, expected a list of labels such as"):
        spans(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"true\[0\] is 'O', expected a list of labels such as"):
        span_scores(["O", "O"], ["O", "O"])
    with pytest.raises(TypeError, match=r"said\[0\] is 3, expected a list of labels such as"):
        span_scores([["O"]], [3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="true is 'O', expected a list of labels each sequence"):
        span_scores("O", "O")


def test_labels_of_numpy_are_texts() -> None:
    rows = np.array([["B-A", "I-A"], ["O", "B-A"]])
    assert spans(rows[0]) == [Span("A", 0, 2)]
    assert span_scores(rows, [iter(row) for row in rows]).f1 == 1  # type: ignore[arg-type, misc]
