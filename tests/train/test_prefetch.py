"""Batches made ahead in a background thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import fastlstm as fl
from fastlstm.train import prefetch


def prefetch_threads() -> int:
    return sum(thread.name.startswith("fastlstm-prefetch") for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 2, 50])
def test_same_items_in_the_same_order(depth: int) -> None:
    assert list(prefetch(range(30), depth)) == list(range(30))
    assert prefetch_threads() == 0


def test_none_is_an_item_like_any_other() -> None:
    assert list(prefetch([None, None])) == [None, None]


def test_the_number_of_threads_is_that_of_the_caller(threads: None) -> None:
    fl.set_num_threads(5)
    with fl.num_threads(3):
        assert list(prefetch(fl.get_num_threads() for _ in range(4))) == [3] * 4
    assert list(prefetch(fl.get_num_threads() for _ in range(4))) == [5] * 4


def test_a_thread_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert list(prefetch(range(5))) == [0, 1, 2, 3, 4]


def test_works_in_another_thread_and_at_most_depth_ahead() -> None:
    makers: set[int] = set()
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(20):
            makers.add(threading.get_ident())
            made.append(i)
            yield i

    for i in prefetch(items(), depth=3):
        assert len(made) <= i + 1 + 3 + 1  # taken, waiting, and one in the thread's hand
    assert len(makers) == 1
    assert threading.get_ident() not in makers


def test_an_error_is_raised_where_the_item_would_have_been() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    source = prefetch(items())
    assert next(source) == 1
    with pytest.raises(KeyError, match="lost"):
        next(source)
    assert prefetch_threads() == 0


def test_closing_early_ends_the_thread() -> None:
    source = prefetch(range(10**9))
    assert next(source) == 0
    assert prefetch_threads() == 1
    source.close()
    assert prefetch_threads() == 0


def test_depth_must_be_positive() -> None:
    with pytest.raises(ValueError, match="depth is 0"):
        prefetch([], 0)
