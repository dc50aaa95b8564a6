"""Sums over processes that are made beside the work of this one, in a thread of their own."""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread

from fastlstm.distributed.processes import AnyArray, Processes

Work = tuple[AnyArray, "Future[AnyArray]"]

GRACE = 2.0  # seconds in which sums have ended that all processes began


class Background:
    """Adds up vectors one after another, in the order in which they are given.

    Parameters
    ----------
    processes : as `Processes.apart` returns them: nobody else calls them.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._waiting: SimpleQueue[Work | None] = SimpleQueue()
        # a process that fails must be able to end, whatever this thread waits for
        self._thread = Thread(target=self._run, name="fastlstm-sums", daemon=True)
        self._thread.start()

    def sum(self, vector: AnyArray) -> Future[AnyArray]:
        """Begin to add up the vectors of all processes, as `Processes.sum` does."""
        future: Future[AnyArray] = Future()
        self._processes.hurry.clear()
        self._waiting.put((vector, future))
        return future

    def hurry(self) -> None:
        """Say that this process has nothing else to do than to wait."""
        self._processes.hurry.set()

    def close(self) -> bool:
        """End the thread when its work is done; return whether it is.

        Where all processes end alike it soon is, and the next thread has their calls to itself.
        """
        self._waiting.put(None)
        self._thread.join(GRACE)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            vector, future = work
            try:
                future.set_result(self._processes.sum(vector))
            except BaseException as error:  # which is raised where the result is asked for
                future.set_exception(error)
