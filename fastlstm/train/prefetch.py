"""Prepares batches in a background thread while the kernels, which release the GIL, compute."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from fastlstm.waiting import result_of

Item = TypeVar("Item")


def prefetch(items: Iterable[Item], depth: int = 2) -> Generator[Item, None, None]:
    """Yield `items` in order, made up to `depth` ahead in a background thread.

    If the system refuses a thread, each item is made when it is asked for. An exception in making
    an item is raised in its place. The thread ends with the generator.

    Raises
    ------
    ValueError
        If `depth` is not positive.
    """
    if depth < 1:
        raise ValueError(f"depth is {depth}, expected at least 1")
    return _ahead(items, depth)


def _ahead(items: Iterable[Item], depth: int) -> Generator[Item, None, None]:
    source, end = iter(items), object()
    context = copy_context()  # such as the caller's number of threads
    call: Any = (context.run, next, source, end)
    pool = ThreadPoolExecutor(1, thread_name_prefix="fastlstm-prefetch")
    try:
        coming = deque([pool.submit(*call)])
    except RuntimeError:  # no thread; the submitted call is never made
        yield from source
        return
    try:
        while (item := result_of(coming.popleft())) is not end:
            while len(coming) < depth:
                coming.append(pool.submit(*call))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
