"""Programs under mpiexec and torchrun."""

from __future__ import annotations

import pytest
from launched import HERE, ended, run, start
from test_shared_training import text_case, train
from threads import together
from trains import checksum

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
