"""Processes that compute beside what is timed, and a timing that counts every call that waits."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.shapes import Case
from benchmarks.sides import build, load
from benchmarks.timing import measure

EXAMPLES = {"toy": (), "names": ("--epochs", "1")}  # that are timed, and their options
SIZE = 256  # of the neighbours' matrices: they stay in a core's second-level cache
READY = "computing"


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Have `count` processes of one thread each compute, in sessions of their own.

    They are other programs to the system, which may share cores out by sessions.

    Raises
    ------
    RuntimeError
        If one does not start; it has said why on standard error.
    """
    command = [sys.executable, "-m", "benchmarks.neighbour", str(os.getpid())]
    started: list[subprocess.Popen[str]] = []
    try:
        for _ in range(count):
            started.append(
                subprocess.Popen(
                    command, stdout=subprocess.PIPE, text=True, cwd=machine.ROOT,
                    env=machine.environment(1), start_new_session=True,
                )
            )  # fmt: skip
        for process in started:
            assert process.stdout is not None
            if (line := process.stdout.readline().strip()) != READY:
                raise RuntimeError(f"a neighbour says {line!r}, expected {READY!r}")
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


def compute(parent: int) -> None:
    """Multiply matrices for as long as this is the parent."""
    x = np.random.default_rng(0).standard_normal((SIZE, SIZE)).astype("float32")
    out = np.empty_like(x)
    print(READY, flush=True)
    while os.getppid() == parent:
        np.matmul(x, x, out=out)


def time_beside(
    side: str, name: str, case: dict[str, Any] | None, threads: int, seconds: float
) -> dict[str, Any]:
    """Time one side of a case or, where there is none, the example `name`.

    The answer's `ms` is the mean of all calls: one that waited for a core counts.
    """
    module = load(side, threads)
    call = build(side, Case(**case), threads).call if case else _example(name, threads)
    return {"ms": _mean_ms(call, seconds), "versions": module.versions()}


def _example(name: str, threads: int) -> Callable[[], object]:
    """Return a call that runs an example of `EXAMPLES` from its first line to its last."""
    main = import_module(f"fastlstm.examples.{name}").main
    options = [*EXAMPLES[name], "--threads", str(threads)]

    def call() -> None:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            main(options)

    return call


def _mean_ms(call: Callable[[], object], seconds: float) -> float:
    samples = measure(call, seconds, warm_up=1, least=2).samples
    return float(f"{1e3 * statistics.fmean(samples):.4g}")


class Others:
    """Cores that processes other than this one and its children have taken since this was made.

    The children must have ended by then. Elsewhere than on Linux nobody tells, and it is 0.
    """

    _stat = Path("/proc/stat")

    def __init__(self) -> None:
        self._began, self._before = time.perf_counter(), self._seconds()

    def cores(self) -> float:
        """Return how many, on average over the time."""
        return max(0.0, (self._seconds() - self._before) / (time.perf_counter() - self._began))

    def _seconds(self) -> float:
        if not self._stat.exists():
            return 0.0
        user, nice, system, _, _, irq, softirq, steal, *_ = map(
            int, self._stat.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        )
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            used = resource.getrusage(who)
            busy -= used.ru_utime + used.ru_stime
        return busy


if __name__ == "__main__":
    compute(int(sys.argv[1]))
