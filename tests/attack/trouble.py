"""Trouble while a run is under way: clear words, an exit status, and earlier files whole."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attack import disks, small_run, whole
from attack.cases_part import cases
from attack.child import Child, run
from attack.fuzz.draw import Rng, chance, pick
from attack.plan import Plan
from attack.report import Figure
from attack.unbroken import VARIANTS, Unbroken, unbroken, writing

KINDS = ("full-disk", "read-only", "folder-removed", "two-writers", "sigterm", "no-memory")
WHAT = {
    "full-disk": "the disk full during a run",
    "read-only": "a folder that may not be written",
    "folder-removed": "the folder removed during a run",
    "two-writers": "two runs in one folder",
    "sigterm": "SIGTERM, then resumed",
    "no-memory": "memory short",
}


def part(plan: Plan) -> Iterator[Figure]:
    """Each kind so many times."""
    for kind in plan.chosen(KINDS):
        yield cases(plan, "trouble", kind, WHAT[kind], plan.counts["trouble"])


def _start(rng: Rng, folder: Path) -> tuple[Unbroken, dict[str, Any], Path, Path]:
    """Draw a run: the unbroken one, its options, a fresh folder for it and for its log."""
    variant = int(rng.integers(len(VARIANTS)))
    out = folder / "troubled"
    shutil.rmtree(out, ignore_errors=True)
    return unbroken(folder, variant), VARIANTS[variant], out, folder / "log"


def _check_words(status: int, told: str, *names: str) -> None:
    """Assert that a failure is told in one line, without a traceback, naming what it is about."""
    assert status == 1, f"exit status {status}: {told[-500:]}"
    last = told.splitlines()[-1] if told else ""
    assert "Traceback" not in told, f"a traceback: {told[-1500:]}"
    assert "error:" in last, f"no error on the last line: {told[-500:]}"
    assert "FASTLSTM_DEBUG" not in last, f"an error that nobody foresaw: {last}"
    assert not names or any(name in last for name in names), f"none of {names} named: {last}"


def _finish(out: Path, sound: Unbroken, options: dict[str, Any], log: Path) -> None:
    """Go on with a run, now that nothing is in its way, and compare its end."""
    line = small_run.command(sound.data, out, **options)
    if (out / "config.json").exists():
        line = ["train", "--resume", str(out), "--no-progress"]
    status, told = run(line, log)
    assert status == 0, f"resuming ended with {status}: {told[-500:]}"
    whole.check_equal(out, sound.result)


def full_disk(rng: Rng, folder: Path) -> None:
    """The disk is full at some moment; with room again the run goes on to the same bits."""
    sound, options, out, log = _start(rng, folder)
    line = small_run.command(sound.data, out / "run", **options)
    total = sum(len(v) for v in sound.result.values() if isinstance(v, bytes)) // 1024
    with disks.small_disk(out, int(rng.integers(4, max(8, total)))) as made:
        if made:
            status, told = run(line, log)
        else:
            size = int(rng.integers(1, sound.largest))
            status, told = run(line, log, lambda: disks.limit_files(size))
        whole.check_files(out / "run")
        if status:  # else all had room
            _check_words(status, told, "cannot", "No space", "too large")
        if made:
            disks.resize(out, 1 << 14)
        if status:
            _finish(out / "run", sound, options, log)


def read_only(rng: Rng, folder: Path) -> None:
    """A folder, or one above it, that may not be written: told before or at the first file."""
    sound, options, out, log = _start(rng, folder)
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    out.chmod(0o555)
    place = pick(rng, (out, out / "run", out / "a" / "b"))
    try:
        line = small_run.command(sound.data, place, **options)
        status, told = run(line, log, disks.obey_permissions)
    finally:
        out.chmod(0o755)
    _check_words(status, told, out.name)
    assert [path.name for path in out.iterdir()] == ["notes.txt"], "files were made"


def folder_removed(rng: Rng, folder: Path) -> None:
    """The folder goes away before some file is written."""
    sound, options, out, log = _start(rng, folder)
    at = int(rng.integers(2, sound.writes + 1))

    def remove_later() -> None:
        left = at

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if writing(event, arguments):
                left -= 1
                if left == 0:
                    shutil.rmtree(out, ignore_errors=True)

        sys.addaudithook(hook)

    status, told = run(small_run.command(sound.data, out, **options), log, remove_later)
    if status:
        _check_words(status, told, out.name)
    whole.check_files(out)
    shutil.rmtree(out, ignore_errors=True)
    _finish(out, sound, options, log)


def two_writers(rng: Rng, folder: Path) -> None:
    """Two runs in one folder: one is refused, or comes after; never a mixture."""
    sound, options, out, log = _start(rng, folder)
    fresh = small_run.command(sound.data, out, **options)
    resume = ["train", "--resume", str(out), "--no-progress"]
    lines = [fresh, pick(rng, (fresh, [*fresh, "--overwrite"], resume))]
    if chance(rng, 3):
        _break_off(rng, sound, fresh, log)
        if (out / "config.json").exists():
            lines = [resume, pick(rng, (resume, [*fresh, "--overwrite"]))]
    children = []
    for number, line in enumerate(lines):
        children.append(Child(line, folder / f"log{number}"))
        time.sleep(float(rng.random()) * sound.seconds * pick(rng, (0.0, 0.3, 1.0)))
    ends = [(child.wait(), child.told()) for child in children]
    for status, told in ends:
        if status:
            _check_words(status, told, out.name)
    assert any(status == 0 for status, _ in ends), f"both failed: {ends}"
    whole.check_equal(out, sound.result)


def _break_off(rng: Rng, sound: Unbroken, line: list[str], log: Path) -> None:
    child = Child(line, log)
    time.sleep(float(rng.random()) * sound.seconds)
    child.send(signal.SIGKILL)
    child.wait()


def sigterm(rng: Rng, folder: Path) -> None:
    """SIGTERM saves as Ctrl-C does: the run says how to go on, and goes on to the same bits."""
    sound, options, out, log = _start(rng, folder)
    child = Child(small_run.command(sound.data, out, **options), log)
    time.sleep(float(rng.random()) * sound.seconds)
    child.send(signal.SIGTERM)
    status, told = child.wait(), child.told()
    assert status in (0, 128 + signal.SIGTERM, -signal.SIGTERM), f"exit status {status}: {told}"
    assert "Traceback" not in told, f"a traceback: {told[-1500:]}"
    whole.check_files(out)
    if status == 0:
        return
    if status > 0 and (out / "config.json").exists() and not (out / "metrics.json").exists():
        assert "--resume" in told, f"it does not say how to go on: {told[-500:]}"
    if not (out / "metrics.json").exists():
        _finish(out, sound, options, log)


def no_memory(rng: Rng, folder: Path) -> None:
    """Memory ends at some moment: an error or a whole run, never a crash; then it goes on."""
    sound, options, out, log = _start(rng, folder)
    room = int(1 << int(rng.integers(16, 29)))

    def limit() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + room
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    status, told = run(small_run.command(sound.data, out, **options), log, limit)
    whole.check_files(out)
    if status:
        _check_words(status, told, "memory", "allocate")
        _finish(out, sound, options, log)
