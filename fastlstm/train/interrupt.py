"""Ctrl-C and SIGTERM as a request to stop at the next safe point."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn


class Interrupted(KeyboardInterrupt):
    """Somebody asked the program to stop; `signal` is SIGINT (Ctrl-C) or SIGTERM."""

    def __init__(self, message: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(*([message] if message else []))
        self.signal = number


class InterruptGuard:
    """Inside its ``with`` block, the first Ctrl-C only sets `requested`; the second is raised.

    SIGTERM counts as Ctrl-C unless the program has its own handler for it. A signal that is ignored
    stays so, as SIGINT of a shell's background job. The previous handlers return at the end. The
    guard does nothing outside the main thread, where Python delivers no signals.

    Attributes
    ----------
    requested : whether a signal came.
    signal : its number; SIGINT before.
    """

    def __init__(self) -> None:
        self.requested = False
        self.signal: int = signal.SIGINT
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> InterruptGuard:
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                self._install(signal.SIGINT)
            if signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, _raise):
                self._install(signal.SIGTERM)
        return self

    def __exit__(self, *ignored: object) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler or signal.SIG_DFL)

    def _install(self, number: int) -> None:
        self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise Interrupted(number=number)
        self.requested, self.signal = True, number


@contextmanager
def termination_raises() -> Iterator[None]:
    """Let SIGTERM raise `Interrupted` inside the block.

    So files are closed, half-written ones removed and locks freed, as after Ctrl-C.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted("terminated", number)
