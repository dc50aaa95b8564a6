"""One long text as columns, in windows: each token is a target once, in order."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.text import columns, count_windows, windows


def test_columns_are_parts_of_the_text() -> None:
    batch = columns(np.arange(11), 3)
    assert batch.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]  # 9 and 10 are left over
    assert batch.dtype == np.int32
    assert batch.flags.c_contiguous


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 9, 10, 20])
def test_windows_go_on_where_the_one_before_ended(steps: int) -> None:
    batch = columns(np.random.default_rng(0).integers(0, 9, 31), 3)
    found = list(windows(batch, steps))
    assert len(found) == count_windows(batch, steps)
    assert all(len(w.tokens) == steps for w in found[:-1])
    assert 1 <= len(found[-1].tokens) <= steps
    assert np.array_equal(np.concatenate([w.tokens for w in found]), batch[:-1])
    assert np.array_equal(np.concatenate([w.targets for w in found]), batch[1:])


def test_windows_from_the_middle() -> None:
    batch = columns(np.arange(20), 2)
    whole = list(windows(batch, 4))
    for start in range(len(whole) + 1):
        rest = list(windows(batch, 4, start))
        assert [w.tokens.tolist() for w in rest] == [w.tokens.tolist() for w in whole[start:]]


WRONG: list[tuple[Any, int, str]] = [
    (np.arange(7), 4, "ids has 7 tokens, expected at least 8: two for each of the 4 columns"),
    ([], 1, "ids is 1-dimensional of float64"),
    (np.zeros((2, 2), int), 1, "ids is 2-dimensional of int64"),
    (np.arange(7), 0, "batch_size is 0, expected at least 1"),
]


@pytest.mark.parametrize(("ids", "batch_size", "message"), WRONG, ids=[w[2] for w in WRONG])
def test_wrong_columns(ids: Any, batch_size: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        columns(ids, batch_size)


def test_wrong_windows() -> None:
    batch = columns(np.arange(20), 2)
    with pytest.raises(ValueError, match="steps is 0, expected at least 1"):
        windows(batch, 0)
    with pytest.raises(ValueError, match="start is 4, expected 0 to 3, the number of windows"):
        windows(batch, 3, 4)
