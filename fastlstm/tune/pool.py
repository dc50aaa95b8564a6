"""Trials in several processes at a time; see `fastlstm.tune.worker`."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import fastlstm
from fastlstm.train.interrupt import Interrupted, InterruptGuard
from fastlstm.waiting import TICK

Told = dict[str, Any]
BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PROGRAM = [sys.executable, "-m", "fastlstm.tune.worker"]


class Worker:
    """A process; what it says is put into a queue with itself, and at its end None."""

    def __init__(self, folder: Path, threads: int, heard: queue.Queue[tuple[Worker, Told | None]]):
        self.ready, self.number = False, -1  # of the trial in work; -1 for none
        self._heard = heard
        self._process = subprocess.Popen(
            [*PROGRAM, str(folder.absolute()), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", errors="replace",
            env=_environment(threads), start_new_session=True,  # Ctrl-C comes by way of us
        )  # fmt: skip
        assert self._process.stdin is not None  # as both are pipes
        assert self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def make(self, number: int) -> None:
        """Ask it to make a trial."""
        self.number = number
        with suppress(OSError):  # it has ended, as the queue will tell
            self._orders.write(f"{number}\n")
            self._orders.flush()

    def stop(self) -> None:
        """Ask it to end, after it has saved a trial in work."""
        with suppress(OSError):  # it has ended, and the last order could not be flushed
            self._orders.close()

    def end(self) -> None:
        """Wait until it has ended, as it was asked to."""
        self.stop()
        self._process.wait()
        self._listener.join()
        self._answers.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    @property
    def told_end(self) -> str:
        """How it has ended, in words."""
        status = self._process.wait()
        if status < 0:
            return f"its process was killed by signal {-status}: was there enough memory?"
        return f"its process ended with status {status}"

    def _listen(self) -> None:
        for line in self._answers:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # not ours
            if isinstance(told, dict):
                self._heard.put((self, told))
        self._heard.put((self, None))


class Pool:
    """So many processes, for a ``with`` block, after which none is left.

    Parameters
    ----------
    folder : of the study.
    jobs : processes.
    threads : of each.
    failed : called with a trial whose process died, and how.

    Attributes
    ----------
    saved : whether all trials in work were saved after Ctrl-C; not if it came twice.
    """

    def __init__(
        self, folder: Path, jobs: int, threads: int, failed: Callable[[int, str], None]
    ) -> None:
        self._folder, self._threads, self._failed = folder, threads, failed
        self._heard: queue.Queue[tuple[Worker, Told | None]] = queue.Queue()
        self._jobs, self._workers = jobs, list[Worker]()
        self.saved = False

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._stop()
        if kind is not None:
            for worker in self._workers:
                worker.kill()
        for worker in self._workers:
            worker.end()

    def make(self, numbers: Iterator[int], done: Callable[[int], None]) -> None:
        """Make the trials that `numbers` draws, and call `done` after each.

        Raises Interrupted after Ctrl-C, when all trials in work are saved; ChildProcessError if a
        process cannot work.
        """
        with InterruptGuard() as guard:
            for _ in range(self._jobs):
                self._workers.append(self._start())  # so that each is ended if the next fails
            stopping = False
            while self._workers:
                if guard.requested and not stopping:
                    stopping = True
                    self._stop()
                try:
                    worker, told = self._heard.get(timeout=TICK)
                except queue.Empty:
                    continue
                if told is None:
                    self._ended(worker, stopping)
                    continue
                self._hear(worker, told, done)
                if not stopping and worker.number < 0:
                    _go_on(worker, numbers)
            if guard.requested:
                self.saved = True
                raise Interrupted(number=guard.signal)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.stop()

    def _start(self) -> Worker:
        return Worker(self._folder, self._threads, self._heard)

    def _hear(self, worker: Worker, told: Told, done: Callable[[int], None]) -> None:
        if "error" in told:
            raise ChildProcessError(told["error"])
        if "done" in told:
            worker.number = -1
            done(told["done"])
        worker.ready = True

    def _ended(self, worker: Worker, stopping: bool) -> None:
        """Replace a process that died with its trial."""
        self._workers.remove(worker)
        worker.end()
        if not worker.ready and not stopping:
            raise ChildProcessError(f"a process for trials does not start: {worker.told_end}")
        if worker.number >= 0 and not stopping:
            self._failed(worker.number, worker.told_end)
            self._workers.append(self._start())


def _go_on(worker: Worker, numbers: Iterator[int]) -> None:
    """Ask a process for the next trial, or to end if there is none."""
    number = next(numbers, None)
    if number is None:
        worker.stop()
    else:
        worker.make(number)


def _environment(threads: int) -> dict[str, str]:
    """Return the environment of a process: the same package, and its share of the threads."""
    place = str(Path(fastlstm.__file__).parents[1])
    paths = [place, *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
    own |= {name: os.environ.get(name, str(threads)) for name in BLAS}
    return {**os.environ, **own, "FASTLSTM_NUM_THREADS": str(threads)}
