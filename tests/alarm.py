"""A signal in the middle of a call."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def alarm(handler: Callable[[], None], seconds: float = 0.02) -> Iterator[None]:
    """Call the handler after so many seconds of this process's own time; skip where none can be.

    Of the clock's, on a busy machine, the call might not have begun.
    """
    if not hasattr(signal, "setitimer"):
        pytest.skip("this system has no timer that sends a signal")
    before = signal.signal(signal.SIGPROF, lambda *_: handler())
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
