"""The kernels as a program for Windows, which Wine runs: threads and memory are that system's.

A program takes its time to start there, so it is given all cases of an instruction set at once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from building import Program
from harness import run_cases
from loop_cases import CASES
from results import assert_close, assert_same
from test_c_precision import NEAR
from test_c_threads import FOR_TEAMS
from toolchains import RUNNABLE, harness_of

pytestmark = pytest.mark.slow  # for what there is to compile


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return harness_of("windows", tmp_path_factory)


def test_windows_has_the_instruction_sets_of_this_machine(windows: Program) -> None:
    """But for tiles: how a process asks for them is known of Linux."""
    assert set(windows.levels) == set(RUNNABLE) - {"amx"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_windows_against_reference(windows: Program, dtype: str, tmp_path: Path) -> None:
    cases = [replace(case, dtype=dtype) for case in CASES.values()]
    inputs = [case.draw() for case in cases]
    expected = [case.expected(its) for case, its in zip(cases, inputs, strict=True)]
    given = list(zip(cases, inputs, strict=True))
    for isa, found in run_cases(windows, windows.isas, given, tmp_path):
        for name, actual, right in zip(CASES, found, expected, strict=True):
            assert_close(actual, right, dtype, f"{isa}, {name}")


def test_windows_threads_do_not_change_a_bit(windows: Program, tmp_path: Path) -> None:
    inputs = [case.draw() for case in FOR_TEAMS.values()]
    teams = ((1, False), (2, False), (3, True), (8, False), (8, True))
    given = [
        (replace(case, threads=threads, hasty=hasty), its)
        for threads, hasty in teams
        for case, its in zip(FOR_TEAMS.values(), inputs, strict=True)
    ]
    names = [f"{threads} threads, {name}" for threads, _ in teams for name in FOR_TEAMS]
    for isa, found in run_cases(windows, windows.isas, given, tmp_path):
        alone = found[: len(FOR_TEAMS)] * len(teams)
        for name, actual, right in zip(names, found, alone, strict=True):
            assert_same(actual, right, right, f"{isa}, {name}")


@pytest.mark.parametrize("precision", NEAR)
def test_windows_in_lower_precision(windows: Program, precision: str, tmp_path: Path) -> None:
    names = [name for name in CASES if not name.startswith(("long", "ripe"))]
    cases = [replace(CASES[name], precision=precision) for name in names]
    inputs = [case.draw() for case in cases]
    expected = [case.expected(its) for case, its in zip(cases, inputs, strict=True)]
    given = list(zip(cases, inputs, strict=True))
    for isa, found in run_cases(windows, windows.levels, given, tmp_path):
        for name, actual, right in zip(names, found, expected, strict=True):
            for key, value in right.items():
                scale = max(1, float(np.abs(value).max(initial=0)))
                error = float(np.abs(actual[key] - value).max(initial=0)) / scale
                assert error <= NEAR[precision], f"{isa}, {name}: {key} off by {error:.1e}"
