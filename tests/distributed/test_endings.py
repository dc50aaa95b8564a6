"""How runs of several processes end before their time, and go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from launched import HERE, SECONDS, ended, run, start
from test_commands import IMDB, check_same_run

sys.path.append(str(HERE.parent / "train"))
from tiny_imdb import arguments, read_lines, train, write_reviews

EPOCHS = 60
MARK = "FASTLSTM_TEST_MARK"  # in the environment of a program's processes
LIMIT = 30  # seconds in which a run has ended that one process cannot go on with

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
    kind: str, size: int, reviews: Path, out: Path, cache: dict[str, str]
) -> tuple[subprocess.Popen[str], str]:
    """Start a run and wait until some epochs are done; return it and its mark."""
    mark = uuid4().hex
    words = arguments(reviews, out, epochs=EPOCHS)
    program = start(kind, size, *IMDB, *words, **{MARK: mark}, **cache)
    end = time.monotonic() + SECONDS
    while not (out / "metrics.jsonl").exists():
        if program.poll() is not None or time.monotonic() > end:
            raise AssertionError(ended(program))
        time.sleep(0.02)
    return program, mark


def process_of(mark: str, rank: int) -> int:
    """Return the number of a process of a program."""
    names = {f"{name}={rank}".encode() for name in ("PMI_RANK", "RANK")}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            told = set(path.read_bytes().split(b"\0"))
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in told and told & names:
            return int(path.parent.name)
    raise AssertionError(f"there is no process {rank}")


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
    program, _ = begun(kind, 2, reviews, out, cache)
    program.send_signal(signal.SIGINT)
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
    program, mark = begun(kind, 2, reviews, out, cache)
    known = len(read_lines(out / "metrics.jsonl"))
    os.kill(process_of(mark, rank), signal.SIGKILL)
    before = time.monotonic()
    done = ended(program)
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
    out, mark = tmp_path / "run", {MARK: uuid4().hex}
    command = [sys.executable, *IMDB, *arguments(reviews, out, epochs=EPOCHS)]
    program = subprocess.Popen(command, env={**os.environ, **cache, **mark})
    while not (out / "metrics.jsonl").exists():
        assert program.poll() is None
        time.sleep(0.02)
    program.send_signal(signal.SIGTERM)
    assert program.wait(SECONDS) == 128 + signal.SIGTERM
    resume(2, kind, out, cache)
    check_same_run(out, unbroken)
