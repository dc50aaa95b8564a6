"""Programs under mpiexec and torchrun."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from launched import HERE, ended, run, start
from test_shared_training import text_case, train
from threads import together
from trains import checksum

from fastlstm.distributed.mpi import MpiProcesses, unread

PROGRAM = str(HERE / "trains.py")


@pytest.mark.parametrize("kind", ["mpi", "torch"])
def test_a_launched_program_learns_the_same_bits(kind: str) -> None:
    weights, _ = together(2, lambda processes: train(text_case, processes))[0]
    told = sorted(run(kind, 2, PROGRAM).splitlines())
    assert told == [f"{rank} 2 {checksum(weights)}" for rank in range(2)]


@pytest.mark.parametrize("kind", ["mpi", pytest.param("torch", marks=pytest.mark.slow(30))])
def test_an_error_in_one_process_ends_a_program(kind: str) -> None:
    done = ended(start(kind, 2, PROGRAM, "it went wrong here"))
    assert done.returncode != 0
    assert "RuntimeError: it went wrong here" in done.stderr
    assert " 2 " not in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell it of the end that writes")
def test_what_a_launcher_has_not_read_is_known(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.write(writes, b"why")
    assert unread(writes)
    os.read(reads, 3)
    assert not unread(writes)
    os.close(reads)
    os.close(writes)
    assert not unread(writes)
    with open(tmp_path / "file", "wb") as file:
        file.write(b"a file keeps it")
        assert not unread(file.fileno())


@pytest.mark.skipif(os.name != "posix", reason="Windows has no ioctl")
def test_what_the_system_does_not_tell_holds_no_abort_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> bytes:
        raise OSError("not of a pipe")

    monkeypatch.setattr("fcntl.ioctl", refuse)
    reads, writes = os.pipe()
    assert not unread(writes)
    os.close(reads)
    os.close(writes)


def test_an_abort_comes_though_the_output_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    aborted: list[int] = []
    world = SimpleNamespace(Abort=aborted.append)
    processes = object.__new__(MpiProcesses)
    processes._mpi = SimpleNamespace(COMM_WORLD=world)
    with open(tmp_path / "closed", "w", encoding="utf-8") as output:
        pass
    monkeypatch.setattr("sys.stdout", output)
    with pytest.raises(ValueError, match="closed file"):
        processes.abort(3)
    assert aborted == [3]
