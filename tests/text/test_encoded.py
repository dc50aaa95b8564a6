from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.text import Encoded

ROWS = st.lists(st.lists(st.integers(0, 50), max_size=9), max_size=8)


def encode(rows: list[list[int]]) -> Encoded:
    flat = np.array([token for row in rows for token in row], dtype=np.int32)
    return Encoded.from_lengths(flat, [len(row) for row in rows], range(len(rows)))


def decode(encoded: Encoded) -> list[list[int]]:
    return [encoded.row(n).tolist() for n in range(len(encoded))]


@given(ROWS)
def test_rows_come_back(rows):
    encoded = encode(rows)
    assert decode(encoded) == rows
    assert encoded.lengths.tolist() == [len(row) for row in rows]
    assert (encoded.tokens.dtype, encoded.offsets.dtype) == (np.int32, np.int64)
    assert (encoded.labels.dtype, encoded.lengths.dtype) == (np.int64, np.int64)


@given(ROWS, st.integers(1, 10))
def test_truncate_keeps_the_first_words(rows, length):
    assert decode(encode(rows).truncate(length)) == [row[:length] for row in rows]


@given(ROWS, st.integers(1, 10))
def test_truncate_keeps_both_ends(rows, length):
    head, tail = (length + 1) // 2, length // 2
    expected = [row if len(row) <= length else row[:head] + row[len(row) - tail :] for row in rows]
    assert decode(encode(rows).truncate(length, keep="ends")) == expected


@given(ROWS, st.data())
def test_select(rows, data):
    numbers = st.integers(0, max(0, len(rows) - 1))
    index = data.draw(st.lists(numbers, max_size=6 if rows else 0))
    chosen = encode(rows).select(index)
    assert decode(chosen) == [rows[n] for n in index]
    assert chosen.labels.tolist() == index


def test_select_by_mask():
    assert decode(encode([[1], [2, 2], [3]]).select([True, False, True])) == [[1], [3]]


def test_zero_length_is_no_cut():
    encoded = encode([[1, 2, 3], [4]])
    assert decode(encoded.truncate(0)) == decode(encoded)


def test_labels_stay_with_their_rows():
    assert encode([[1, 2], [], [3]]).truncate(1).labels.tolist() == [0, 1, 2]


@given(ROWS, st.integers(2, 40))
def test_limit(rows, size):
    expected = [[token if token < size else 1 for token in row] for row in rows]
    assert decode(encode(rows).limit(size)) == expected


@pytest.mark.parametrize(
    ("tokens", "offsets", "labels", "message"),
    [
        ([1, 2], [0, 2], [0, 1], "offsets has 2 entries, expected one more than the 2 labels"),
        ([1, 2], [0, 1], [0], "offsets must rise from 0 to 2"),
        ([1, 2], [1, 2], [0], "offsets must rise from 0 to 2"),
        ([1, 2], [0, 3, 1, 2], [0, 1, 2], "offsets must rise"),
        ([1, -2], [0, 2], [0], "tokens has the id -2"),
        ([1.5, 2], [0, 2], [0], "tokens is 1-dimensional of float64"),
        ([[1, 2]], [0, 2], [0], "tokens is 2-dimensional"),
        ([1, 2**31], [0, 2], [0], "tokens spans 1 to 2147483648, too wide for int32"),
        ([1, 2], [0, 2], ["pos"], "labels is 1-dimensional of <U3"),
        ([], [], [], "offsets has 0 entries"),
    ],
)
def test_arrays_that_do_not_fit(tokens, offsets, labels, message):
    with pytest.raises(ValueError, match=message):
        Encoded(np.array(tokens), np.array(offsets), np.array(labels))


def test_arguments_out_of_range():
    encoded = encode([[1], [2]])
    with pytest.raises(IndexError, match="n is 2, expected 0 to 1"):
        encoded.row(2)
    with pytest.raises(IndexError, match="index spans -1 to 0, expected 0 to 1"):
        encoded.select([0, -1])
    with pytest.raises(ValueError, match="index is 1-dimensional of bool"):
        encoded.select([True])
    with pytest.raises(ValueError, match="max_length is -1"):
        encoded.truncate(-1)
    with pytest.raises(ValueError, match="keep is 'last', expected one of 'first', 'ends'"):
        encoded.truncate(3, keep="last")


def test_concatenate() -> None:
    one = Encoded.from_lengths([1, 2, 3], [2, 0, 1], [0, 1, 1])
    two = Encoded.from_lengths([4], [1], [-1])
    both = Encoded.concatenate([one, two])
    assert [both.row(n).tolist() for n in range(4)] == [[1, 2], [], [3], [4]]
    assert both.labels.tolist() == [0, 1, 1, -1]
    assert both.tokens.dtype == np.int32
    assert len(Encoded.concatenate([])) == 0


def test_some_words_only() -> None:
    rows = encode([[1, 2, 3], [], [2, 2], [4]])
    kept = rows.keep(rows.tokens != 2)
    assert decode(kept) == [[1, 3], [], [], [4]]
    np.testing.assert_array_equal(kept.labels, rows.labels)


def test_endless_arrays_are_refused_at_once() -> None:
    """Views that claim more elements than any address space holds."""
    endless, none = np.broadcast_to(np.int8(0), 1 << 50), np.zeros(0, np.int64)
    for arrays in ((endless, [0, 1], [0]), (none, endless, none), (none, [0], endless)):
        with pytest.raises(MemoryError):
            Encoded(*arrays)
    with pytest.raises(MemoryError):
        encode([[1], [2]]).select(endless)
