"""A command line run in a forked process: killed, limited or starved as a case wants it.

The worker has imported the package once; each run is a fork of it, so that hundreds of them take
minutes. A fork that is killed dies as any process does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

WAIT = 60.0  # seconds after which a run counts as hanging


def nothing() -> None:
    """Do nothing before a run."""


class Child:
    """A run under way.

    Parameters
    ----------
    line : the words behind ``fastlstm``.
    log : file that gets what it prints.
    before : called in the new process, to prepare its end.
    after : called there when the run has come to its own end.
    """

    def __init__(
        self,
        line: list[str],
        log: Path,
        before: Callable[[], object] = nothing,
        after: Callable[[], object] = nothing,
    ) -> None:
        self.log = log
        self.pid = os.fork()
        if not self.pid:
            _live(line, log, before, after)

    def wait(self) -> int:
        """Wait for its end: the exit status, or minus the signal that ended it."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        self.send(signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"the run hung: {self.told()}")

    def send(self, number: int) -> None:
        """Send it a signal; one that has ended by itself gets none."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def told(self) -> str:
        """What it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace").strip()


def _live(
    line: list[str], log: Path, before: Callable[[], object], after: Callable[[], object]
) -> None:
    """What the new process does; never returns."""
    status = 70
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from fastlstm.cli import main

        sys.modules["matplotlib"] = None  # type: ignore[assignment]  # as if it were not installed
        before()
        status = main(line)
        after()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def run(
    line: list[str],
    log: Path,
    before: Callable[[], object] = nothing,
    after: Callable[[], object] = nothing,
) -> tuple[int, str]:
    """Run a command line to its end: exit status and what it printed."""
    child = Child(line, log, before, after)
    status = child.wait()
    return status, child.told()
