"""Parts of a work at the same time, in the threads that a call may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from fastlstm.runtime import get_num_threads, num_threads

Item = TypeVar("Item")
Found = TypeVar("Found")


def side_by_side(call: Callable[[Item], Found], items: Sequence[Item]) -> Iterator[Found]:
    """Yield ``call(item)`` of each item, in order.

    With several threads so many items are worked on at a time, each by one thread: NumPy and the
    kernels let others work beside them. With one it is `map`.
    """
    threads = min(get_num_threads(), len(items))
    if threads <= 1:
        yield from map(call, items)
        return

    def alone(item: Item) -> Found:
        with num_threads(1):
            return call(item)

    with ThreadPoolExecutor(threads, thread_name_prefix="fastlstm-linear") as pool:
        futures = [pool.submit(copy_context().run, alone, item) for item in items]
        try:
            while futures:
                yield futures.pop(0).result()
        finally:
            for future in futures:
                future.cancel()
