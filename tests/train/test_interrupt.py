"""Ctrl-C as a flag, and the handler put back afterwards."""

from __future__ import annotations

import signal
import threading

import pytest

from fastlstm.train.interrupt import Interrupted, InterruptGuard, termination_raises

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_first_interrupt_sets_the_flag_second_raises(number: int) -> None:
    with InterruptGuard() as guard:
        assert not guard.requested
        signal.raise_signal(number)
        assert (guard.requested, guard.signal) == (True, number)
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(number)
        assert caught.value.signal == number


def test_a_program_that_handles_sigterm_itself_goes_on_doing_so() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with termination_raises(), InterruptGuard() as guard:
            signal.raise_signal(signal.SIGTERM)
            assert not guard.requested
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_sigterm_raises_where_nothing_has_to_be_finished() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with termination_raises():
        with InterruptGuard() as guard:
            signal.raise_signal(signal.SIGTERM)
            assert guard.requested
        with pytest.raises(Interrupted, match="terminated") as caught:
            signal.raise_signal(signal.SIGTERM)
    assert caught.value.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


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


@BOTH
def test_an_ignored_signal_stays_ignored(number: int) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with termination_raises(), InterruptGuard() as guard:
            signal.raise_signal(number)
            signal.raise_signal(number)
            assert not guard.requested
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


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
