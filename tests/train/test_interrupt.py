"""Ctrl-C as a flag, and the handler put back afterwards."""

from __future__ import annotations

import signal
import threading

import pytest

from fastlstm.train.interrupt import InterruptGuard


def test_first_interrupt_sets_the_flag_second_raises() -> None:
    with InterruptGuard() as guard:
        assert not guard.requested
        signal.raise_signal(signal.SIGINT)
        assert guard.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("fails", [False, True])
def test_previous_handler_is_restored(fails: bool) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        try:
            with InterruptGuard():
                signal.raise_signal(signal.SIGINT)
                if fails:
                    raise RuntimeError
        except RuntimeError:
            assert fails
        assert seen == []
        signal.raise_signal(signal.SIGINT)
        assert seen == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_it_does_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    results: list[object] = []

    def work() -> None:
        with InterruptGuard() as guard:
            results.append(guard.requested)
            results.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [False, before]
    assert signal.getsignal(signal.SIGINT) is before
