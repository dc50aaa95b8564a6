"""Timing of one callable, and the memory it takes."""

from __future__ import annotations

import ctypes
import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

# A sample is as many calls as take this long, so that the clock and a stray interrupt do not show.
SAMPLE_SECONDS = 2e-3
WARM_UP, MIN_SAMPLES = 3, 5


class Timing(NamedTuple):
    """Seconds a call, one value a sample of `calls` calls each."""

    samples: list[float]
    calls: int


def measure(
    call: Callable[[], object], seconds: float, warm_up: int = WARM_UP, least: int = MIN_SAMPLES
) -> Timing:
    """Call for about `seconds` after `warm_up` calls; at least `least` samples."""
    once = min(_run(call, 1) for _ in range(warm_up))
    calls = max(1, round(SAMPLE_SECONDS / max(once, 1e-7)))
    samples: list[float] = []
    start = time.perf_counter()
    while len(samples) < least or time.perf_counter() - start < seconds:
        samples.append(_run(call, calls) / calls)
    return Timing(samples, calls)


def _run(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - start


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile; of one value three times that."""
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


class PeakMemory:
    """The most memory a process held above what it held when this was made.

    Linux tells the peak and can be told to start over. Elsewhere the growth of `ru_maxrss` is
    taken, which misses what stays below an earlier peak.
    """

    _status, _reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")

    def __init__(self) -> None:
        _give_back_freed()
        if self._reset.exists():
            self._reset.write_text("5")
        self._before = self._read("VmRSS")

    def growth(self) -> int:
        """Return the growth so far in bytes."""
        return max(0, self._read("VmHWM") - self._before)

    def _read(self, field: str) -> int:
        if self._status.exists():
            for line in self._status.read_text().splitlines():
                if line.startswith(field):
                    return 1024 * int(line.split()[1])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024)


def _give_back_freed() -> None:
    """Free garbage and let malloc return it to the system: what is used again would not show."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
