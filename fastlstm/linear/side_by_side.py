"""Parts of a work at the same time, in the threads that a call may use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from threading import Barrier
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fastlstm.runtime import get_num_threads, num_threads
from fastlstm.waiting import result_of

Item = TypeVar("Item")
Found = TypeVar("Found")

_ended: ContextVar[NDArray[np.int32] | None] = ContextVar("fastlstm_ended", default=None)


def ending() -> NDArray[np.int32] | None:
    """Return what is no longer 0 once this thread is to end its work early, int32 [1].

    None in a thread that `side_by_side` did not start.
    """
    return _ended.get()


def side_by_side(call: Callable[[Item], Found], items: Sequence[Item]) -> Iterator[Found]:
    """Yield ``call(item)`` of each item, in order.

    With several threads so many items are worked on at a time, each by one thread: NumPy and the
    kernels let others work beside them; what is found waits for the caller, but of no more items
    than twice the threads. With one it is `map`. After an error, Ctrl-C or ``close`` no thread is
    left: no other item is begun, and those at work are told by `ending`.
    """
    threads = min(get_num_threads(), len(items))
    if threads <= 1:
        yield from map(call, items)
        return
    ended = np.zeros(1, np.int32)

    def alone(item: Item) -> Found:
        _ended.set(ended)
        with num_threads(1):
            return call(item)

    working: deque[Future[Found]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fastlstm-linear")
    # All start before the first item: one that Ctrl-C meets while it starts is not yet known to the
    # pool, which would leave it at work.
    all_there = Barrier(threads + 1)
    try:
        for _ in range(threads):
            pool.submit(all_there.wait)
        all_there.wait()
        for item in items:
            if len(working) == 2 * threads:
                yield result_of(working.popleft())
            working.append(pool.submit(copy_context().run, alone, item))
        while working:
            yield result_of(working.popleft())
    finally:
        ended[0] = 1
        all_there.abort()
        pool.shutdown(cancel_futures=True)
