"""Parts of a call on threads of Python's: compiled code gives the GIL away."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

MAX_THREADS = 1024
# Handing a part to one of Python's threads and waiting for it takes 0.3 to 0.5 ms, in which a core
# makes so many floating-point operations of products.
WORTH_A_THREAD = 8e7


def worth_threads(operations: float, parts: int, n_threads: int) -> int:
    """Return how many threads to take: small work runs on one."""
    return max(1, min(n_threads, parts, int(operations / WORTH_A_THREAD)))


def run_parts(parts: int, task: Callable[[int], None]) -> None:
    """Call ``task(0) ... task(parts - 1)`` side by side; return when all are done."""
    if parts == 1:
        task(0)
        return
    others = [_pool().submit(task, part) for part in range(1, parts)]
    try:
        task(0)
    finally:
        wait(others)
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads, started as they are needed; a forked child makes its own."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_pool.cache_clear)
    return ThreadPoolExecutor(MAX_THREADS, "fastlstm")
