"""Waiting for another thread's work."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import Future

import pytest

from fastlstm.waiting import result_of


def test_results_and_errors() -> None:
    found, failed = Future[int](), Future[int]()
    found.set_result(3)
    assert result_of(found) == 3
    failed.set_exception(TimeoutError("of the work itself"))
    with pytest.raises(TimeoutError, match="of the work itself"):
        result_of(failed)


def test_work_that_takes_longer_than_a_look() -> None:
    later = Future[int]()
    threading.Timer(0.5, later.set_result, [3]).start()
    assert result_of(later) == 3


def test_ctrl_c_that_does_not_wake_the_thread_is_heard() -> None:
    """As one does that comes just as the thread falls asleep: here another thread receives it."""
    never = Future[int]()

    def pressed_soon(future: Future[int]) -> int:
        """On a busy machine perhaps before it waits."""
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        return result_of(future)

    unheard = threading.Timer(600, never.set_result, [0])
    unheard.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            pressed_soon(never)
    finally:
        unheard.cancel()
