"""Texts as rows of numbered tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastlstm.linear import TokenRows
from fastlstm.text.encoded import Encoded


def lists(rows: TokenRows) -> list[list[str]]:
    ends = zip(rows.offsets[:-1], rows.offsets[1:], strict=True)
    return [[rows.tokens[i] for i in rows.ids[a:b]] for a, b in ends]


def test_rows_of_lists() -> None:
    given = [["a", "b", "a"], [], ["c"], ["b"]]
    rows = TokenRows.from_lists(given)
    assert lists(rows) == given
    assert (len(rows), list(rows.tokens), rows.lengths.tolist()) == (4, list("abc"), [3, 0, 1, 1])
    assert lists(rows.select([2, 0])) == [["c"], ["a", "b", "a"]]
    assert lists(rows.select(np.array([False, True, False, True]))) == [[], ["b"]]


def test_rows_of_texts() -> None:
    assert lists(TokenRows.from_texts(["It's!", ""])) == [["it's", "!"], []]
    assert lists(TokenRows.from_texts(["\u5f88\u597d"], "mixed")) == [["\u5f88", "\u597d"]]
    assert len(TokenRows.from_texts([])) == 0


def test_rows_of_numbers() -> None:
    encoded = Encoded.from_rows([[2, 0], [], [1]], [0, 1, 0])
    assert lists(TokenRows.from_encoded(encoded, ["x", "y", "z"])) == [["z", "x"], [], ["y"]]


def test_tokens_are_numbered_as_they_come() -> None:
    encoded = Encoded.from_rows([[], [3, 1, 3], [], [0, 1]], [0] * 4)
    rows = TokenRows.from_encoded(encoded, ["w", "x", "y", "z"])
    found, expected = rows.as_they_come(), TokenRows.from_lists(lists(rows))
    assert lists(found) == lists(rows) == [[], ["z", "x", "z"], [], ["w", "x"]]
    assert found.tokens == expected.tokens == ["z", "x", "w"]
    assert found.ids.dtype == expected.ids.dtype
    assert lists(TokenRows.from_lists([]).as_they_come()) == []


def test_rows_of_several_collections() -> None:
    parts = [[["a", "b"], []], [["c", "b"]], [], [["a"]]]
    both = TokenRows.concatenate([TokenRows.from_lists(part) for part in parts])
    assert lists(both) == [["a", "b"], [], ["c", "b"], ["a"]]
    assert list(both.tokens) == ["a", "b", "c"]
    assert len(TokenRows.concatenate([])) == 0


@pytest.mark.parametrize(
    ("ids", "offsets", "message"),
    [
        ([0, 3], [0, 2], "ids has 3, expected 0 to 2"),
        ([0, -1], [0, 2], "-1"),
        ([0, 1], [0, 3], "offsets must rise from 0 to 2"),
        ([0, 1], [0, 2, 1, 2], "offsets must rise"),
        ([0, 1], [], "offsets"),
        ([0.5], [0, 1], "expected 1-dimensional integers"),
    ],
)
def test_wrong_token_rows(ids: Any, offsets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenRows(["a", "b", "c"], np.array(ids), np.array(offsets, np.int64))
