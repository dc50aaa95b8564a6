"""Texts dealt out: process 0 has them, all processes classify some, process 0 gets the results.

Of every piece of a stream each process gets about as many letters. Process 0 alone reads and
writes: a file need not be there for the others, and the standard input is read once.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastlstm.distributed.launch import entered
from fastlstm.distributed.processes import Processes, ProcessLost
from fastlstm.text import UNK
from fastlstm.train.classifier.loaded_run import LoadedRun
from fastlstm.train.classifier.predict import Float64
from fastlstm.train.classifier.trained_texts import TextHashes
from fastlstm.train.parallel import rows_of

Result = TypeVar("Result")

ENDED, FAILED = 0, -1  # what process 0 tells in place of a number of texts
NUMBERS = 3  # of a text, before its log-probabilities


class FirstFailed(ValueError):
    """Process 0 has failed, and says why."""


class Said(NamedTuple):
    """What a run makes of N texts.

    Attributes
    ----------
    known : [N], how many words of a text, as the net reads it, training had.
    comparable, learned : [N], 1 where it can be told whether the run has learned from a text, and
        where it has.
    log_probabilities : float64 [N, C].
    """

    known: Float64
    comparable: Float64
    learned: Float64
    log_probabilities: Float64


def first_alone(processes: Processes, work: Callable[[], Result]) -> Result | None:
    """Do in process 0 what the others need not; they get None, or fail where it fails.

    Raises what `work` does, and FirstFailed in the others.
    """
    if processes.size == 1:
        return work()
    result, error = None, None
    if processes.first:
        try:
            result = work()
        except Exception as caught:
            error = caught
    if processes.broadcast(error is None):
        return result
    raise error or FirstFailed("process 0 has failed")


def deal(
    trained: LoadedRun, processes: Processes, work: Callable[[Dealer], object],
    hashes: TextHashes | None = None,
) -> None:  # fmt: skip
    """Let process 0 do some work with a `Dealer`, which the others help until it is done.

    Parameters
    ----------
    trained : the run, the same in all processes.
    hashes : of the texts it learned from, to tell which of the texts are among them.

    Raises
    ------
    ProcessesDiffer
        If they have different runs.
    FirstFailed
        In the others, if the work fails.
    """
    processes.agree({"the model of the run": _checksum(trained)} if processes.size > 1 else {})
    dealer = Dealer(trained, processes, hashes)
    if not processes.first:
        dealer.help()
        return
    try:
        work(dealer)
    except Exception:  # after Ctrl-C the others stop by themselves
        with suppress(ProcessLost):
            dealer.tell(FAILED)
        raise
    dealer.tell(ENDED)


class Dealer:
    """Classifies texts in all processes together; see `deal`."""

    def __init__(self, trained: LoadedRun, processes: Processes, hashes: TextHashes | None) -> None:
        self.trained = trained
        self._processes, self._hashes = processes, hashes
        self._in_step = True  # whether the others wait for what process 0 tells next

    def classify(self, texts: list[str]) -> Said:
        """Return what the run makes of N >= 1 texts, in their order; in process 0 alone."""
        if self._processes.size == 1:
            return _as_said(self._table(texts, len(texts)))
        size, work = self._processes.size, np.array([len(text) + 1 for text in texts])
        rows = [rows_of(work, rank, size) for rank in range(size)]
        packed = [json.dumps([texts[n] for n in own]).encode() for own in rows]
        length = max(map(len, packed))
        sent = np.array([bytearray(one.ljust(length)) for one in packed], np.uint8)
        self.tell(len(texts), length)
        self._in_step = False
        tables = self._share(sent, len(texts))
        self._in_step = True
        whole = np.empty((len(texts), tables.shape[2]))
        for own, table in zip(rows, tables, strict=True):
            whole[own] = table[: len(own)]
        return _as_said(whole)

    def help(self) -> None:
        """Classify what process 0 deals out, until it has ended."""
        while True:
            count, length = self._processes.broadcast(None)
            if count == ENDED:
                return
            if count == FAILED:
                raise FirstFailed("process 0 has failed")
            self._share(np.zeros((self._processes.size, length), np.uint8), count)

    def tell(self, count: int, length: int = 0) -> None:
        """Tell the others what comes, if they wait for it."""
        if self._processes.size > 1 and self._in_step:
            self._processes.broadcast([count, length])

    def _share(self, sent: NDArray[np.uint8], count: int) -> Float64:
        """Return the tables of all processes; `sent` has a row of texts for each, of process 0."""
        texts = json.loads(self._processes.exchange(sent)[0].tobytes())
        return self._processes.gather(self._table(texts, -(-count // self._processes.size)))

    def _table(self, texts: list[str], rows: int) -> Float64:
        """Return the fields of `Said` side by side, one row for each text and zeros after them."""
        table = np.zeros((rows, NUMBERS + len(self.trained.labels)))
        if not texts:
            return table
        encoded, own = self.trained.encode(texts), table[: len(texts)]
        known = np.concatenate([[0], np.cumsum(encoded.tokens != UNK)])[encoded.offsets]
        own[:, 0] = np.diff(known)
        if self._hashes is not None:
            own[:, 1:NUMBERS] = np.stack(self._hashes.find(encoded), axis=1)
        with entered(Processes()):  # these texts are of this process alone
            own[:, NUMBERS:] = self.trained.log_probabilities(encoded)
        return table


def _as_said(table: Float64) -> Said:
    # apart, so that sums and maxima go the same way over any number of rows
    known, comparable, learned = table[:, :NUMBERS].T
    return Said(known, comparable, learned, np.ascontiguousarray(table[:, NUMBERS:]))


def _checksum(trained: LoadedRun) -> int:
    """Return a number that changes with any weight, class or precision."""
    parts = trained.parts
    arrays = [] if parts.net is None else [p.data for p in parts.net.parameters()]
    arrays += [] if parts.linear is None else list(parts.linear.state().values())
    crc = zlib.crc32(json.dumps([trained.labels, trained.precision]).encode())
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return crc
