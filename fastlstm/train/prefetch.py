"""Prepare batches in a background thread while the kernels, which release the GIL, compute."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextvars import copy_context
from typing import TypeVar

Item = TypeVar("Item")

# How long the thread waits for room before it looks whether anybody still wants its items.
_PATIENCE = 0.1


class _Failure:
    """An exception on its way from the background thread to the consumer."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


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
    return _consume(items, depth)


def _consume(items: Iterable[Item], depth: int) -> Generator[Item, None, None]:
    ready: queue.Queue[object] = queue.Queue(maxsize=depth)
    unwanted = threading.Event()

    def put(item: object) -> None:
        while not unwanted.is_set():
            try:
                ready.put(item, timeout=_PATIENCE)
                break
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                put(item)
                if unwanted.is_set():
                    return
            put(_END)
        except BaseException as error:
            put(_Failure(error))

    context = copy_context()  # the number of threads, for one, is as in the block of the caller
    thread = threading.Thread(
        target=context.run, args=(produce,), name="fastlstm-prefetch", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:
        yield from items
        return
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        unwanted.set()
        thread.join()
