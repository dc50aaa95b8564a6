"""Waiting for another thread's work."""

from __future__ import annotations

from concurrent.futures import Future, wait
from typing import TypeVar

Found = TypeVar("Found")

TICK = 0.2  # seconds between two looks at whether somebody pressed Ctrl-C


def result_of(future: Future[Found]) -> Found:
    """Return a future's result, or raise its error; Ctrl-C is heard meanwhile.

    A signal that comes just as the main thread falls asleep, or that another thread receives, does
    not wake it. So it looks up now and then.
    """
    while not future.done():
        wait([future], TICK)
    return future.result()
