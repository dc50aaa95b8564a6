"""Programs of several processes that a test stops in the midst of their work, as Ctrl-Z does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from launched import ended

MARK = "FASTLSTM_TEST_MARK"  # in the environment of a program's processes
Program = subprocess.Popen[str]


def standing_still(
    start: Callable[[dict[str, str]], Program],
    size: int,
    is_begun: Callable[[], bool],
    is_early: Callable[[], bool],
) -> tuple[Program, list[int]]:
    """Start a program and stop its processes once it is at work; return them by rank.

    They stand still while we look how far they are: a program that was too fast for us is begun
    again.
    """
    for _ in range(20):
        mark = uuid4().hex
        program = start({MARK: mark})
        while not is_begun() and program.poll() is None:
            time.sleep(0.02)
        found = [process_of(mark, rank) for rank in range(size)]
        if all(map(stand_still, found)) and is_early():
            return program, [process for process in found if process is not None]
        send(signal.SIGKILL, found)
        done = ended(program)
        assert is_begun(), done
    raise AssertionError("the program always ended before it could be stopped")


def process_of(mark: str, rank: int) -> int | None:
    """Return the number of a process of a program; None if it is gone."""
    names = {f"{name}={rank}".encode() for name in ("PMI_RANK", "RANK")}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            told = set(path.read_bytes().split(b"\0"))
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in told and told & names:
            return int(path.parent.name)
    return None


def status_of(process: int, name: str) -> str:
    """A line of what the system tells of a process; "" of one that is gone."""
    try:
        told = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return ""
    return next(line.partition(":")[2].strip() for line in told.splitlines() if name in line)


def stand_still(process: int | None) -> bool:
    """Have a process stand still, as Ctrl-Z does; False if it has ended."""
    send(signal.SIGSTOP, [process])
    while process is not None and (state := status_of(process, "State")[:1]) not in ("", "Z"):
        if state == "T":
            return True
        time.sleep(0.02)
    return False


def send(number: int, processes: Iterable[int | None]) -> None:
    """Send a signal to those that are there."""
    for process in processes:
        if process is not None:
            with suppress(ProcessLookupError):
                os.kill(process, number)


def await_signal(number: int, processes: list[int]) -> None:
    """Wait until a signal has come to each of some processes that stand still."""
    for process in processes:
        while not int(status_of(process, "ShdPnd"), 16) >> (number - 1) & 1:
            time.sleep(0.02)
