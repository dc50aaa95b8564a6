"""Processes that are threads of one process, to test what they do together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fastlstm.distributed.processes import AnyArray, Processes

SECONDS = 600  # after which a thread that waits for another one gives up


class ThreadProcesses(Processes):
    """One of `size` threads that share tables with a place for each.

    The first table is for its own calls, the second one for those apart.
    """

    def __init__(self, rank: int, size: int, *tables: tuple[list[Any], threading.Barrier]) -> None:
        self.rank, self.size = rank, size
        (self._table, self._barrier), *self._others = tables
        self.sent = 0  # bytes
        self.hurry = threading.Event()

    def apart(self) -> Processes | None:
        return ThreadProcesses(self.rank, self.size, *self._others)

    def gather(self, array: AnyArray) -> AnyArray:
        return np.stack(self._swap(array))

    def exchange(self, array: AnyArray) -> AnyArray:
        assert len(array) == self.size
        return np.stack([one[self.rank] for one in self._swap(array)])

    def _swap(self, array: AnyArray) -> list[AnyArray]:
        self.sent += array.nbytes
        self._table[self.rank] = array.copy()
        self._barrier.wait()
        found = list(self._table)
        self._barrier.wait()
        assert len({(one.shape, one.dtype) for one in found}) == 1
        return found


def together(size: int, work: Callable[[Processes], Any]) -> list[Any]:
    """Return what `work` returns in each of so many processes; the first error is raised."""
    tables = [([None] * size, threading.Barrier(size, timeout=SECONDS)) for _ in range(2)]

    def one(rank: int) -> Any:
        try:
            return work(ThreadProcesses(rank, size, *tables))
        except BaseException:
            for _, barrier in tables:
                barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(one, rank) for rank in range(size)]
    errors = [future.exception() for future in futures]
    own = [e for e in errors if e is not None and not isinstance(e, threading.BrokenBarrierError)]
    if own:
        raise own[0]
    return [future.result() for future in futures]
