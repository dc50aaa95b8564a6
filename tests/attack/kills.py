"""Runs killed at any moment and at each kind of write, resumed until they end: the same bits."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attack import small_run, whole
from attack.cases_part import cases
from attack.child import Child, nothing, run
from attack.fuzz.draw import Rng, chance, pick
from attack.plan import Plan
from attack.report import Figure
from attack.unbroken import VARIANTS, Unbroken, unbroken, writing


def kill_at_write(number: int) -> Callable[[], None]:
    """Let the process kill itself before the change of the file system of this number."""

    def prepare() -> None:
        left = number

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if writing(event, arguments):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return prepare


def kill_in_write(size: int) -> Callable[[], None]:
    """Let the kernel end the process in the write that makes a file larger than this."""

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return prepare


def _killed(rng: Rng, line: list[str], log: Path, sound: Unbroken) -> bool:
    """Run and kill; whether it was killed before its end."""
    how = pick(rng, ("time", "time", "write", "write", "inside"))
    if how == "time":
        child = Child(line, log)
        time.sleep(float(rng.random()) * sound.seconds)
        child.send(signal.SIGKILL)
    elif how == "write":
        child = Child(line, log, kill_at_write(int(rng.integers(1, sound.writes + 1))))
    else:
        child = Child(line, log, kill_in_write(int(rng.integers(1, sound.largest))))
    status = child.wait()
    if status >= 0:
        assert status == 0, f"exit status {status} and not killed: {child.told()}"
    return status < 0


def _line(out: Path, data: Path, options: dict[str, Any]) -> list[str]:
    """The command that goes on with a run, or begins it where nothing was begun."""
    if (out / "config.json").exists():
        return ["train", "--resume", str(out), "--no-progress"]
    return small_run.command(data, out, **options)


def case(rng: Rng, folder: Path) -> None:
    """Kill a run once or a few times, then let it come to its end."""
    variant = int(rng.integers(len(VARIANTS)))
    sound, out, log = unbroken(folder, variant), folder / "killed", folder / "log"
    kills = 0
    while not kills:  # a run may end before the moment drawn
        shutil.rmtree(out, ignore_errors=True)
        for _ in range(pick(rng, (1, 1, 2, 3))):
            kills += _killed(rng, _line(out, sound.data, VARIANTS[variant]), log, sound)
            whole.check_files(out)
    status, told = run(_line(out, sound.data, VARIANTS[variant]), log, nothing)
    assert status == 0, f"resuming ended with {status}: {told}"
    whole.check_equal(out, sound.result)
    if chance(rng, 4):  # what it left can be used
        status, told = run(["predict", str(out), "music1 word2"], log)
        assert status == 0, f"predicting ended with {status}: {told}"


def part(plan: Plan) -> Iterator[Figure]:
    """Kills, each a case."""
    yield cases(plan, "kills", "kills", "kill -9, resumed to equal bits", plan.counts["kills"])
