"""Programs that mpiexec or torchrun starts, for tests."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fastlstm.distributed.found import MPI_RANKS, MPI_SIZES, TORCH_NAMES

# Of a command: its program, its arguments, and what process 1 has instead of the latter.
Command = tuple[str, list[str], list[str] | None]


class Ended(NamedTuple):
    """How a command ended in one process."""

    status: int
    out: str
    err: str


SECONDS = 600  # after which a program is ended: no test is to hang
HERE = Path(__file__).parent


def launcher(kind: str, size: int) -> list[str]:
    """Return the command that starts so many processes; skip the test where there is none."""
    if kind == "torch":
        pytest.importorskip("torch")
        return [sys.executable, "-m", "torch.distributed.run", "--standalone",
                "--nproc-per-node", str(size)]  # fmt: skip
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed")
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("there is no mpiexec")
    return [found, "-n", str(size), sys.executable]


def start(
    kind: str, size: int, *words: str, stdin: Any = None, **environment: str
) -> subprocess.Popen[str]:
    """Start a program of so many processes: a file or ``-m module``, and its arguments."""
    names = (*MPI_RANKS, *MPI_SIZES, *TORCH_NAMES)
    clean = {k: v for k, v in os.environ.items() if k not in names}
    return subprocess.Popen(
        [*launcher(kind, size), *words],
        env={**clean, "FASTLSTM_NUM_THREADS": "1", **environment},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_several(
    kind: str, size: int, commands: Sequence[Command], folder: Path, **environment: str
) -> list[list[Ended]]:
    """Run commands one after another in the same processes; return their ends, by rank.

    Programs under mpiexec or torchrun take seconds to start.
    """
    told = folder / "commands.json"
    told.write_text(json.dumps(commands))
    run(kind, size, str(HERE / "several.py"), str(told), **environment)
    ends = [json.loads((folder / f"ends-{rank}.json").read_text()) for rank in range(size)]
    return [[Ended(*one) for one in of_command] for of_command in zip(*ends, strict=True)]


def ended(program: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a program."""
    try:
        out, err = program.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        program.terminate()
        out, err = program.communicate(timeout=SECONDS)
        raise AssertionError(f"the program did not end:\n{out}\n{err}") from None
    return subprocess.CompletedProcess(program.args, program.returncode, out, err)


def run(kind: str, size: int, *words: str, **environment: str) -> str:
    """Run a program to its end, which must be a good one; return what it printed."""
    done = ended(start(kind, size, *words, **environment))
    assert done.returncode == 0, done.stderr
    return done.stdout
