"""Recurrent dropout and a cell's own parameters, without Python: against a definition of their own.

Outputs, and gradients by central differences; then the contracts to the last bit, and long sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from building import Program
from definition import run, slope
from harness import NAMES, Case, pick_rows, run_case, run_cases
from loop_cases import FEW, RAGGED, SHORTER, draw, in_turn
from results import assert_close, assert_same, assert_same_rows
from toolchains import shared_by_teams

pytestmark = pytest.mark.pairs

PEEPHOLE = "peephole_lstm"
CASES: dict[str, Case] = {}
for cell in NAMES:
    CASES |= {
        f"{cell}_masked": Case(3, 4, 5, 9, cell=cell, masked=True),
        f"{cell}_one_step": Case(1, 2, 3, 18, cell=cell, masked=True),
        f"{cell}_few": Case(2, 1, 3, 7, cell=cell, masked=True, packed=True, batch_first=True),
        f"{cell}_all": Case(
            7, 9, 3, 5, cell=cell, masked=True, lengths=RAGGED, reset=True, recompute=3, distinct=4
        ),
        f"{cell}_reverse": Case(
            7, 9, 3, 17, cell=cell, masked=True, lengths=RAGGED, reset=True, reverse=True
        ),
    }
CASES |= {
    "proj_masked": Case(4, 5, 3, 9, proj=7, masked=True, reset=True),
    "proj_recompute": Case(4, 5, 3, 9, proj=18, masked=True, recompute=3, packed=True),
    "peephole": Case(3, 4, 5, 9, cell=PEEPHOLE),
    "peephole_step": Case(1, 1, 5, 17, cell=PEEPHOLE),
    "peephole_all": Case(
        7, 9, 3, 18, cell=PEEPHOLE, lengths=RAGGED, reset=True, recompute=3, distinct=4
    ),
    "peephole_reverse": Case(
        7, 9, 3, 5, cell=PEEPHOLE, lengths=RAGGED, reset=True, reverse=True, accumulate=False
    ),
}
# Large enough to be divided over threads: by rows, by units, in pieces, with tokens. Cells with
# gates are so in half the steps.
FOR_TEAMS: dict[str, Case] = {}
for cell in NAMES:
    T, lengths, H = (12, SHORTER, 512) if cell.startswith("rnn") else (6, (6, 0, 4) * 22, 384)
    FOR_TEAMS |= {
        f"{cell}_rows": Case(T, 66, 64, 128, cell=cell, masked=True, lengths=lengths, reset=True),
        f"{cell}_units": Case(4, 9, 16, H, cell=cell, masked=True, lengths=FEW),
        f"{cell}_one_step": Case(1, 3, 96, 136, cell=cell, masked=True, repeat=20),
    }
FOR_TEAMS |= {
    "peephole_pieces": Case(1, 2, 96, 136, cell=PEEPHOLE, repeat=20),
    "peephole_units": Case(4, 9, 16, 384, cell=PEEPHOLE, lengths=FEW, masked=True, recompute=3),
    "proj": Case(12, 66, 64, 96, proj=48, masked=True, lengths=SHORTER, recompute=5),
    "tokens": Case(9, 60, 48, 80, cell=PEEPHOLE, distinct=40, masked=True),
    "ripe": Case(9, 70, 16, 96, cell=PEEPHOLE, lengths=(9, 0, 8, 9, 5, 9, 9) * 10, masked=True),
}


def with_gradients(case: Case) -> Iterator[str]:
    """Names of the inputs that a backward pass gives gradients of."""
    yield from ("x", "w_ih", "w_hh", "b_ih", "b_hh")
    yield from case.state_names("{}0")
    if case.reset:
        yield from case.state_names("{}_reset")
    if case.proj:
        yield "w_hr"
    if case.params:
        yield "params"


@pytest.mark.parametrize("name", CASES)
def test_against_the_definition(program: Program, name: str, tmp_path: Path) -> None:
    case, inputs = draw(CASES[name], "float64")
    expected, rng = run(case, inputs), np.random.default_rng(3)
    exact = dict(inputs, dx=np.zeros_like(inputs["dx"]))
    narrow = {n: a.astype("float32") if a.dtype == "float64" else a for n, a in exact.items()}
    slopes = {}
    for of in with_gradients(case):
        towards = rng.standard_normal(inputs[of].shape)
        slopes[of] = towards, slope(case, inputs, of, towards)
    given = [(case, exact), (replace(case, dtype="float32"), narrow)]
    for isa, (found, single) in run_cases(program, program.isas, given, tmp_path):
        assert_close(found, expected, "float64", isa)
        for of, (towards, right) in slopes.items():
            grown, scale = (found[f"d{of}"] * towards).sum(), abs(found[f"d{of}"] * towards).sum()
            assert abs(grown - right) <= 1e-7 * max(1.0, scale), f"{isa}: d{of}: {grown}, {right}"
        assert_close(single, found, "float32", isa)


EMULATED = [
    *(f"{cell}_one_step" for cell in NAMES),
    "peephole_pieces",
    "gru_rows",
    "rnn_tanh_units",
]


@shared_by_teams(FOR_TEAMS, EMULATED)
def test_threads_and_recomputing_do_not_change_a_bit(
    team_program: Program, name: str, tmp_path: Path
) -> None:
    case, inputs = draw(FOR_TEAMS[name], "float32")
    others = [replace(case, threads=threads) for threads in (2, 3)]
    for recompute in {0, 1, 5} - {case.recompute}:
        others.append(replace(case, recompute=recompute, repeat=1))
    given = [(one, inputs) for one in (case, *others)]
    isas = in_turn(team_program, name, FOR_TEAMS)
    for isa, (alone, *found) in run_cases(team_program, isas, given, tmp_path):
        for other, again in zip(others, found, strict=True):
            what = f"{isa}, {other.threads} threads, recompute {other.recompute}"
            assert_same(again, alone, alone, what)


@pytest.mark.parametrize("name", [f"{cell}_reverse" for cell in NAMES] + ["peephole_all"])
def test_masked_row_does_not_depend_on_its_neighbours(
    program: Program, name: str, tmp_path: Path
) -> None:
    case, inputs = draw(CASES[name], "float32")
    picks = [[0], [3], [*range(case.N)][::-1], [0, case.N - 1]]
    given = [(case, inputs), *(pick_rows(case, inputs, picked) for picked in picks)]
    for isa, (whole, *parts) in run_cases(program, program.isas, given, tmp_path):
        for picked, part in zip(picks, parts, strict=True):
            assert_same_rows(part, whole, case, picked, isa)


@pytest.mark.parametrize("name", ["lstm_masked", "gru_one_step", "rnn_tanh_all"])
def test_a_mask_of_ones_is_no_mask(program: Program, name: str, tmp_path: Path) -> None:
    case, inputs = draw(CASES[name], "float32")
    inputs["h_mask"][...] = 1
    plain = {name: a for name, a in inputs.items() if name != "h_mask"}
    given = [(case, inputs), (replace(case, masked=False), plain)]
    for isa, (found, expected) in run_cases(program, program.isas, given, tmp_path):
        assert_close(found, expected, "float32", isa)
        assert_same(found, expected, ["y"], isa)


@pytest.mark.parametrize("recompute", [100, 333])
def test_sums_of_many_terms_stay_exact(program: Program, recompute: int, tmp_path: Path) -> None:
    """Terms of one sign: the error of a plain float32 sum grows with their number.

    Sanitizers and the emulator, which need minutes for millions of terms, see the same loops with
    fewer.
    """
    N = 4 if program.sanitized or program.runner else 400
    case = Case(5000, N, 1, 3, cell=PEEPHOLE, recompute=recompute, dstate=False, reset=True)
    inputs = case.draw()
    inputs["mask"][...] = True
    for name in ("c_reset", "dy"):
        inputs[name] = np.abs(inputs[name])
    inputs["b_ih"][6:9] = 3  # g
    exact = {n: a.astype("float64") if a.dtype == "float32" else a for n, a in inputs.items()}
    isa = program.isas[0]
    right = run_case(program, isa, replace(case, dtype="float64"), exact, tmp_path)["dparams"]
    found = run_case(program, isa, case, inputs, tmp_path)["dparams"]
    np.testing.assert_allclose(found, right, rtol=5e-7)
