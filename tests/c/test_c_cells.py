"""The kernels without Python against the reference, and what they promise to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from building import Program
from harness import Case, pick_rows, run_case, run_cases
from loop_cases import CASES, draw
from results import assert_close, assert_same, assert_same_rows

from fastlstm.kernels import CELLS

pytestmark = pytest.mark.pairs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_against_reference(program: Program, name: str, dtype: str, tmp_path: Path) -> None:
    """Each case in both types and both ways to run it, if not in each way with each type."""
    case, inputs = draw(CASES[name], dtype)
    expected = case.expected(inputs)
    for isa, (found,) in run_cases(program, program.isas, [(case, inputs)], tmp_path):
        assert_close(found, expected, dtype, isa)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name",
    ["odd", "ragged", "ragged_reverse", "above_tiles", "tokens", "proj_ragged"]
    + [f"{cell}_ragged" for cell in list(CELLS)[1:]],
)
def test_row_does_not_depend_on_its_neighbours(
    program: Program, name: str, dtype: str, tmp_path: Path
) -> None:
    case, inputs = draw(CASES[name], dtype)
    picks = [[n] for n in range(0, case.N, 2)] + [list(range(case.N))[::-1], [0, case.N - 1]]
    given = [(case, inputs), *(pick_rows(case, inputs, picked) for picked in picks)]
    for isa, (whole, *parts) in run_cases(program, program.isas, given, tmp_path):
        for picked, part in zip(picks, parts, strict=True):
            assert_same_rows(part, whole, case, picked, isa)


def test_chunks_equal_the_whole(program: Program, tmp_path: Path) -> None:
    case, inputs = draw(CASES["odd"], "float32")
    for isa in program.isas:
        whole = run_case(program, isa, case, inputs, tmp_path)
        state = {"h0": inputs["h0"], "c0": inputs["c0"]}
        for start, stop in ((0, 1), (1, 4), (4, 5)):
            cut = {name: inputs[name][start:stop] for name in ("x", "dy", "dx")}
            piece = replace(case, T=stop - start)
            part = run_case(program, isa, piece, {**inputs, **cut, **state}, tmp_path)
            assert np.array_equal(part["y"], whole["y"][start:stop]), f"{isa}: steps {start}.."
            state = {"h0": part["h_n"], "c0": part["c_n"]}
        assert np.array_equal(state["c0"], whole["c_n"]), isa


def test_tokens_equal_their_dense_input(program: Program, tmp_path: Path) -> None:
    case, inputs = draw(CASES["tokens"], "float32")
    table, ids = inputs["x"], inputs["ids"]
    dense = {name: a for name, a in inputs.items() if name != "ids"}
    dense |= {"x": table[ids], "dx": np.zeros_like(table[ids])}
    given = [(case, inputs), (replace(case, distinct=0), dense)]
    for isa, (picked, plain) in run_cases(program, program.isas, given, tmp_path):
        assert_same(picked, plain, ("y", "h_n", "c_n"), isa)


@pytest.mark.parametrize(
    "name",
    ["recompute_all", "gru_ragged", "rnn_relu_ragged", "proj_ragged", "ripe_recompute", "ripe_proj"]
    + ["long_tokens", "long_gru"],
)
def test_recomputing_changes_no_bit(program: Program, name: str, tmp_path: Path) -> None:
    case, inputs = draw(CASES[name], "float32")
    steps = (0, 1, 2, case.T, 2 * case.T)
    given = [(replace(case, recompute=every), inputs) for every in steps]
    for isa, (plain, *others) in run_cases(program, program.isas, given, tmp_path):
        for every, again in zip(steps[1:], others, strict=True):
            assert_same(again, plain, plain, f"{isa}, every {every} steps")


def test_nan_and_infinity_stay_in_their_row(program: Program, tmp_path: Path) -> None:
    case, inputs = draw(CASES["odd"], "float32")
    spoilt = {name: a.copy() for name, a in inputs.items()}
    spoilt["x"][2, 3], spoilt["x"][1, 5] = np.nan, np.inf
    others = [n for n in range(case.N) if n not in (3, 5)]
    given = [(case, inputs), (case, spoilt)]
    for isa, (clean, dirty) in run_cases(program, program.isas, given, tmp_path):
        assert np.array_equal(dirty["y"][:, others], clean["y"][:, others]), isa
        assert np.isnan(dirty["y"][2:, 3]).all(), isa


def test_denormals_become_zero(program: Program, tmp_path: Path) -> None:
    """A tiny state under an open output gate would be denormal; flushed, it is exactly zero."""
    case, inputs = draw(Case(1, 1, 4, 8, bias=False), "float32")
    inputs = {name: np.zeros_like(a) for name, a in inputs.items()}
    inputs["c0"][...] = np.finfo("float32").tiny
    for isa, (found,) in run_cases(program, program.isas, [(case, inputs)], tmp_path):
        assert not found["c_n"].any(), isa
