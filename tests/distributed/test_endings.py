"""How runs of several processes end before their time, and go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import HERE, ended, run, start
from outside import epochs_told, interrupted
from standing_still import await_signal, send, standing_still
from test_commands import IMDB, check_same_run

sys.path.append(str(HERE.parent / "train"))
from tiny_imdb import arguments, read_lines, train, write_reviews

EPOCHS = 60
LIMIT = 30  # seconds in which a run has ended that one process cannot go on with; it takes 1 to 2

both = pytest.mark.parametrize("kind", ["mpi", "torch"])
if not sys.platform.startswith("linux"):
    pytest.skip("finds processes in /proc", allow_module_level=True)


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("reviews") / "aclImdb")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTLSTM_CACHE", folder)
        yield {"FASTLSTM_CACHE": folder}


@pytest.fixture(scope="module")
def unbroken(
    reviews: Path, cache: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run of one process to its end."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    train(reviews, out, epochs=EPOCHS)
    return out


def begun(
    kind: str, size: int, reviews: Path, out: Path, cache: dict[str, str], *program: str
) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a run, and have its processes stand still in the midst of it; return them by rank."""
    words = arguments(reviews, out, epochs=EPOCHS)

    def started(mark: dict[str, str]) -> subprocess.Popen[str]:
        shutil.rmtree(out, ignore_errors=True)
        return start(kind, size, *(program or IMDB), *words, **mark, **cache)

    return standing_still(
        started, size, lambda: epochs_told(out) > 0, lambda: epochs_told(out) < EPOCHS - 1
    )


def resume(size: int, kind: str, out: Path, cache: dict[str, str]) -> str:
    words = ("--resume", str(out), "--no-progress")
    if size == 1:
        command = [sys.executable, *IMDB, *words]
        done = subprocess.run(
            command, env={**os.environ, **cache}, check=True, capture_output=True, text=True
        )
        return done.stdout
    return run(kind, size, *IMDB, *words, **cache)


@pytest.mark.slow(60)
@both
def test_ctrl_c_saves_once_and_one_process_goes_on(
    kind: str, reviews: Path, unbroken: Path, cache: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    program, processes = begun(kind, 2, reviews, out, cache, str(HERE / "patient.py"))
    program.send_signal(signal.SIGINT)
    await_signal(signal.SIGINT, processes)
    send(signal.SIGCONT, processes)
    done = ended(program)
    assert done.returncode != 0
    assert (out / "checkpoint.safetensors").exists(), done.stderr
    assert done.stderr.count("training was interrupted") == 1, done.stderr
    resume(1, kind, out, cache)
    check_same_run(out, unbroken)


@pytest.mark.slow(60)
@pytest.mark.parametrize(("kind", "rank"), [("mpi", 0), ("mpi", 1), ("torch", 1)])
def test_a_killed_process_ends_the_run_and_others_go_on(
    kind: str, rank: int, reviews: Path, unbroken: Path, cache: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    program, processes = begun(kind, 2, reviews, out, cache)
    known = len(read_lines(out / "metrics.jsonl"))
    os.kill(processes[rank], signal.SIGKILL)
    send(signal.SIGCONT, processes)
    before = time.monotonic()
    done = ended(program)  # by itself: who waits for one that is gone notices it
    assert time.monotonic() - before < LIMIT
    assert done.returncode != 0
    told = done.stdout + done.stderr  # both launchers end the other process, and say so themselves
    assert any(word in told for word in ("KILLED", "Killed", "SIGKILL")), told
    assert len(read_lines(out / "metrics.jsonl")) >= known
    resume(2 if kind == "mpi" else 1, kind, out, cache)
    check_same_run(out, unbroken)


@pytest.mark.slow(60)
@pytest.mark.parametrize("kind", ["mpi"])
def test_a_run_of_one_process_goes_on_in_two(
    kind: str, reviews: Path, unbroken: Path, cache: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, *IMDB, *arguments(reviews, out, epochs=EPOCHS)]
    interrupted(command, out, EPOCHS, signal.SIGTERM)
    resume(2, kind, out, cache)
    check_same_run(out, unbroken)
