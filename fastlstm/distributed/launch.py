"""How a program joins the processes that were started with it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from fastlstm.distributed.cores import sharing
from fastlstm.distributed.found import KINDS, found
from fastlstm.distributed.processes import Processes
from fastlstm.nn.check import check_choice
from fastlstm.printable import say
from fastlstm.runtime import get_num_threads, num_threads

GRACE = 5.0  # seconds in which processes that fail alike have all failed

_partners = Processes()  # as `join` found them

_current: ContextVar[Processes | None] = ContextVar("fastlstm_processes", default=None)


def current() -> Processes:
    """Return the processes of the `start` block around, or one alone."""
    return _current.get() or Processes()


def join(kind: str = "auto") -> Processes:
    """Connect with the processes that were started together with this one.

    Parameters
    ----------
    kind : "mpi", "torch", "none": this process works alone; or "auto": what the launcher, mpiexec
        or torchrun, says in the environment.

    Raises
    ------
    ValueError
        If `kind` is unknown, or torchrun is asked for and did not start this process.
    ImportError
        If mpi4py or torch is missing.
    RuntimeError
        If mpiexec is of another MPI library than mpi4py.
    """
    global _partners
    _partners = _join(kind)
    return _partners


def partners() -> Processes:
    """Return what `join` returned last; one process alone before."""
    return _partners


def _join(kind: str) -> Processes:
    check_choice("distributed", kind, KINDS)
    told = found()
    if kind == "auto":
        kind = told.kind if told.size != 1 else "none"
    if kind == "none":
        return Processes()
    if kind == "mpi":
        from fastlstm.distributed.mpi import MpiProcesses

        return MpiProcesses(told.size if told.kind == "mpi" else 0)
    if told.kind != "torch":
        raise ValueError(
            "distributed is 'torch', but torchrun did not start this process: torchrun "
            "--nproc-per-node 2 -m fastlstm.train_imdb"
        )
    from fastlstm.distributed.gloo import GlooProcesses

    return GlooProcesses()


@contextmanager
def entered(processes: Processes) -> Iterator[Processes]:
    """Let trainers inside the block share their batches; divide the threads of a machine.

    A number of threads that was chosen stays: it is that of each process.
    """
    alone = processes.size == 1
    chosen = alone or os.environ.get("FASTLSTM_NUM_THREADS")
    if not chosen:
        processes.sharing = sharing(processes)
    n = None if chosen else max(1, get_num_threads() // processes.sharing)
    token = _current.set(processes)
    try:
        with num_threads(n):
            yield processes
    finally:
        _current.reset(token)


@contextmanager
def start(kind: str = "auto") -> Iterator[Processes]:
    """Train in all processes that were started together: a `Trainer` inside shares its batches.

    All of them run the same program; ``processes.first`` says which one is to write and to print.
    An error in one of them ends all. Arguments and errors as of `join`.
    """
    processes = join(kind)
    with entered(processes):
        try:
            yield processes
        except BaseException:
            if processes.size > 1 and (not processes.meet(GRACE) or processes.stuck):
                rank, size = processes.rank, processes.size
                say(f"process {rank} of {size}:\n{traceback.format_exc()}", file=sys.stderr)
                processes.abort(1)
            raise
