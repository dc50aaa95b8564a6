"""Commands that work in several processes: process 0 speaks for all."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastlstm._version import __version__
from fastlstm.cli.errors import wrong_use
from fastlstm.cli.flags import flag
from fastlstm.distributed.found import KINDS
from fastlstm.distributed.launch import GRACE, entered, join, partners
from fastlstm.distributed.processes import Processes
from fastlstm.printable import say

# Each process may have its own.
FREE = ("data", "test", "threads", "vectors", "from_run")

_told: io.StringIO | None = None  # what a process that is not to print has to say
_stderr: Any = None  # where it says that, if the others do not come to the same end


def add_distributed_option(parser: Any) -> None:
    group = parser.add_argument_group("processes")
    group.add_argument(
        "--distributed", choices=KINDS, default="auto",
        help="what connects the processes that mpiexec (mpi) or torchrun (torch) started; none: "
        "each works alone (default auto: whichever it is)",
    )  # fmt: skip


@contextmanager
def joined(kind: str, given: Mapping[str, Any]) -> Iterator[Processes]:
    """Work together with the processes started alike, inside the block; `given` are the options.

    Those of them that are not process 0 print nothing from now on.
    """
    with wrong_use():
        processes = join(kind)
    if processes.size > 1:
        _be_heard_once(processes)
        options = {flag(name): value for name, value in given.items() if name not in FREE}
        processes.agree({"the version": __version__, **options})
    with entered(processes):
        yield processes


def _be_heard_once(processes: Processes) -> None:
    global _told, _stderr
    if processes.first or os.environ.get("FASTLSTM_DEBUG"):
        return
    _told, _stderr = io.StringIO(), sys.stderr
    sys.stdout, sys.stderr = io.StringIO(), _told


def left(status: int) -> int:
    """Return the status of a command that has ended; if it failed alone, end the others too."""
    processes = partners()
    if status == 0 or processes.size == 1:
        return status
    if processes.broken and processes.rank == 1:  # process 0 may be the one that was lost
        _tell(processes)
    if processes.meet(GRACE) and not processes.stuck:
        return status
    if not processes.broken:
        _tell(processes)
    processes.abort(status)
    return status


def _tell(processes: Processes) -> None:
    if _told is not None:
        lines = _told.getvalue().strip().splitlines()[-1:]
        say(
            " ".join([f"process {processes.rank} of {processes.size}:", *lines]),
            file=_stderr,
            flush=True,
        )
