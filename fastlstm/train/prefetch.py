"""Prepare batches in a background thread while the kernels, which release the GIL, compute."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterable[Item], depth: int = 2) -> Generator[Item, None, None]:
    """Yield `items` in order, made up to `depth` ahead in a background thread.

    Where the system refuses a thread, as for want of memory, each is made when it is asked for. An
    exception while making an item is raised where the item would have been yielded. The
    thread ends with the generator: exhausted, closed or collected.

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
    context = copy_context()  # the number of threads, for one, is as in the block of the caller

    def make() -> Any:
        return context.run(next, source, end)

    pool = ThreadPoolExecutor(1, thread_name_prefix="fastlstm-prefetch")
    try:
        coming = deque([pool.submit(make)])
    except RuntimeError:  # the call that was refused its thread is never made
        yield from source
        return
    try:
        while (item := coming.popleft().result()) is not end:
            while len(coming) < depth:
                coming.append(pool.submit(make))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
