"""What processes that work together say to each other: a handful of calls, all of them collective.

Each process makes the same calls in the same order. An implementation has `gather` and `exchange`,
and the others are made of these. This one is for one process alone.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.shown import shown

AnyArray = NDArray[Any]

PAUSE = 0.01  # seconds between two looks


class ProcessLost(ConnectionError):
    """Another process of the run has ended."""


class ProcessesDiffer(ValueError):
    """The processes of a run were not started alike."""


class Processes:
    """One process, or the connection of one with the others.

    Attributes
    ----------
    rank : number of this process, from 0.
    size : how many there are.
    broken : whether one of them was lost.
    sharing : how many divide the threads of this one's cores, itself included.
    stuck : whether what was begun in the background will not end.
    hurry : of those `apart`: set where somebody waits for their calls.
    """

    rank = 0
    size = 1
    broken = False
    sharing = 1
    stuck = False
    hurry: threading.Event

    def __repr__(self) -> str:
        return shown(self, rank=self.rank, size=self.size)

    @property
    def first(self) -> bool:
        """Whether this is process 0, which alone writes, prints and draws."""
        return self.rank == 0

    def gather(self, array: AnyArray) -> AnyArray:
        """Return the arrays of all processes, of equal shape and dtype: [size, ...]."""
        return array[None]

    def exchange(self, array: AnyArray) -> AnyArray:
        """Send row r of an array [size, ...] to process r; return what came, a row from each."""
        return array

    def apart(self) -> Processes | None:
        """Return the same processes for the calls of another thread; None if that cannot be.

        Their calls do not meet those made here, and leave the cores to others while they wait, as
        long as nobody is in a `hurry`. All processes call this at the same time.
        """
        return None

    def sum(self, vector: AnyArray) -> AnyArray:
        """Return the sum of the vectors of all processes, added in the order of ranks.

        So equal vectors have equal sums, bit for bit, in every process and every run. Each process
        adds up a part of it: what one sends does not grow with their number.
        """
        length = -(-len(vector) // self.size)
        sent = vector
        if len(vector) < self.size * length:
            sent = np.zeros(self.size * length, vector.dtype)
            sent[: len(vector)] = vector
        came = self.exchange(sent.reshape(self.size, length))
        total = came[0] + came[1] if self.size > 1 else came[0].copy()
        for part in came[2:]:
            total += part
        return self.gather(total).reshape(-1)[: len(vector)]

    def gather_bytes(self, data: bytes) -> list[bytes]:
        """Return the bytes of all processes, each of any length."""
        lengths = self.gather(np.array([len(data)], np.int64))[:, 0].tolist()
        padded = np.zeros(max(lengths), np.uint8)
        padded[: len(data)] = np.frombuffer(data, np.uint8)
        return [row[:n].tobytes() for row, n in zip(self.gather(padded), lengths, strict=True)]

    def send(self, data: bytes | None) -> bytes:
        """Return the bytes of process 0; the others give None. While they wait they rest."""
        own = b"" if data is None else data
        self.barrier()
        length = int(self.gather(np.array([len(own)], np.int64))[0, 0])
        whole = np.zeros(length, np.uint8)
        if data is not None:
            whole[:] = np.frombuffer(own, np.uint8)
        return self.sum(whole).tobytes()  # to which the others add zeros

    def broadcast(self, value: Any) -> Any:
        """Return the value of process 0, which is JSON; those of the others do not count."""
        return json.loads(self.gather_bytes(json.dumps(value).encode() if self.first else b"")[0])

    def barrier(self) -> None:
        """Wait until all processes are here, without work for a core where that can be."""
        self.gather(np.zeros(1, np.uint8))

    def agree(self, values: Mapping[str, Any]) -> None:
        """Raise ProcessesDiffer, in all processes, unless all have the same values (JSON)."""
        if self.size == 1:
            return
        told = [json.loads(one) for one in self.gather_bytes(json.dumps(dict(values)).encode())]
        for rank, others in enumerate(told):
            for name in told[0] | others:
                here, there = told[0].get(name), others.get(name)
                if here != there:
                    raise ProcessesDiffer(
                        f"process {rank} differs from process 0: {name} is {_shown(there)} there, "
                        f"{_shown(here)} here; start all with the same version, options and data"
                    )

    def meet(self, seconds: float) -> bool:
        """Wait for all others, but no longer than this; return whether all came."""
        return True

    def lost(self) -> ProcessLost:
        """Return the error of a process that cannot reach another one any more."""
        self.broken = True
        return ProcessLost(
            f"another of the {self.size} processes has ended, which ends the run; files written "
            "until now are whole"
        )

    def waited(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is done, but no longer than this; return whether it is."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                return False
            time.sleep(PAUSE)
        return True

    def abort(self, status: int) -> None:
        """End all processes at once, this one too."""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
