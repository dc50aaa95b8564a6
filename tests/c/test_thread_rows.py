"""Which rows each thread takes: all of them once, alike in work, and neighbours."""

from __future__ import annotations

import ctypes
import itertools
from typing import Any

import numpy as np
import pytest
from building import load_library

Rows = list[int]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = load_library(tmp_path_factory.mktemp("thread_rows"), "thread_rows")
    found.rows_of.restype = ctypes.c_int64
    return found


def numbers(values: list[int]) -> Any:
    return (ctypes.c_int64 * max(1, len(values)))(*values)


def rows_of(compiled: Any, lengths: Rows, thread: int, threads: int, turns: int = 1) -> list[Rows]:
    """The rows of a thread in each of its turns, checked to begin with those of any first n."""
    n_at = [sum(length > step for length in lengths) for step in range(max(lengths, default=0))]
    taken = []
    for turn in range(turns):
        who, found = numbers([thread, threads, turn, turns]), numbers(lengths)
        sizes = numbers([len(lengths), len(n_at)])
        count = [
            compiled.rows_of(sizes, numbers(n_at), who, ctypes.c_int64(n), found)
            for n in range(len(lengths) + 1)
        ]
        rows = found[: count[-1]]
        assert rows == sorted(rows)
        assert count == [sum(row < n for row in rows) for n in range(len(lengths) + 1)]
        taken.append(rows)
    return taken


def ends(N: int, seed: int) -> Rows:
    """Lengths of rows that end one after the other, the longest first."""
    return sorted(np.random.default_rng(seed).integers(1, 100, N).tolist(), reverse=True)


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize("alike", [True, False])
def test_each_row_is_one_threads(compiled: Any, threads: int, alike: bool) -> None:
    for N, turns in itertools.product((1, 2, 3, 5, 8, 16, 31, 64, 65, 129), (1, 3)):
        lengths = [7] * N if alike else ends(N, N)
        rows = [rows_of(compiled, lengths, thread, threads, turns) for thread in range(threads)]
        assert sorted(sum(sum(rows, []), [])) == list(range(N)), (N, turns)


@pytest.mark.parametrize("threads", [2, 3, 4])
@pytest.mark.parametrize("N", [12, 64, 200])
def test_rows_alike_are_neighbours_and_as_many(compiled: Any, N: int, threads: int) -> None:
    for thread in range(threads):
        (rows,) = rows_of(compiled, [9] * N, thread, threads)
        assert rows == list(range(rows[0], rows[0] + len(rows)))
        assert len(rows) in (N // threads, -(-N // threads))


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize(("N", "block"), [(8, 1), (16, 2), (32, 4), (64, 8), (1000, 8)])
def test_rows_that_end_are_dealt_in_blocks(compiled: Any, N: int, block: int, threads: int) -> None:
    """The fewer rows, the smaller the blocks: one thread is not to have all of the longest."""
    lengths = ends(N * threads // 2, 0)
    steps = []
    for thread in range(threads):
        (rows,) = rows_of(compiled, lengths, thread, threads)
        assert rows[:block] == list(range(thread * block, (thread + 1) * block))
        assert rows[block] == (2 * threads - 1 - thread) * block, "forth and back"
        steps.append(sum(lengths[row] for row in rows))
    assert max(steps) < 1.12 * np.mean(steps)
