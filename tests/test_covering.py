"""Of a product of parameters, the cases that covering.py chooses have all that they must have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Hashable, Sequence
from itertools import chain, combinations, product
from pathlib import Path

import pytest
from covering import Parts, choose

SIZES = [(2, 2), (3, 4, 5), (2, 24, 5, 4), (3, 3, 3, 3, 3), (1, 7, 1), (9,)]


def product_of(sizes: Sequence[int], together: int) -> list[Parts]:
    values = [[(name, k) for k in range(size)] for name, size in enumerate(sizes)]
    return [frozenset(combinations(case, together)) for case in product(*values)]


def of_all(cases: Sequence[Parts]) -> set[Hashable]:
    return set(chain.from_iterable(cases))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("together", [1, 2])
def test_none_of_the_parts_is_lost(sizes: tuple[int, ...], together: int) -> None:
    cases = product_of(sizes, together)
    chosen = choose(cases, "a test")
    assert of_all([cases[k] for k in chosen]) == of_all(cases)


@pytest.mark.parametrize(
    ("sizes", "together", "least"), [((3, 4, 5), 2, 20), ((2, 24, 5, 4), 2, 120), ((3, 4), 1, 4)]
)
def test_there_are_few(sizes: tuple[int, ...], together: int, least: int) -> None:
    assert least <= len(choose(product_of(sizes, together), "a test")) <= 1.35 * least


def test_a_case_alone_has_its_parts() -> None:
    """Values that belong together, as of a list of pairs, are a part: each such case is chosen."""
    cases: list[Parts] = [frozenset([(a, b)]) for a, b in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert choose(cases, "a test") == {0, 1, 2, 3}
    assert choose([frozenset("ab"), frozenset("a"), frozenset("b")], "a test") == {0}
    assert choose([], "a test") == set()


def test_each_process_chooses_the_same() -> None:
    cases = product_of((4, 6, 5), 2)
    assert choose(cases, "a test") == choose(cases, "a test") != choose(cases, "another")


HOOK = """
import pytest
from covering import thin

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    thin(config, items)
"""
CASES = """
import pytest

pytestmark = pytest.mark.pairs

@pytest.fixture(params=["reference", pytest.param("numba", marks=pytest.mark.slow), "native"])
def backend(request):
    return request.param

@pytest.mark.parametrize(("cell", "case"), [("lstm", [1]), ("lstm", [2]), ("gru", [1])])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_cells(cell, case, dtype, backend):
    pass

@pytest.mark.parametrize("value", [0, False, 0.0, True, 1])
def test_one(value):
    pass
"""


@pytest.mark.parametrize(
    ("which", "once", "cells"),
    [("", "", 18), ("not slow", "", 6), ("slow", "", 12), ("not slow", "1", 3)],
)
def test_what_pytest_runs(which: str, once: str, cells: int, tmp_path: Path) -> None:
    """Of twelve cases that are not slow six have all pairs: each of the list in both precisions."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n    pairs\n")
    (tmp_path / "conftest.py").write_text(HOOK)
    (tmp_path / "test_cases.py").write_text(CASES)
    tests = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-m", which],
        env={**os.environ, "PYTHONPATH": tests, "FASTLSTM_TEST_ONCE": once},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("test_cells") == cells, done.stdout + done.stderr
    assert done.stdout.count("test_one") == (0 if which == "slow" else 5)
    assert done.returncode == 0
