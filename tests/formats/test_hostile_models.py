"""Damaged files of models end in a clear error or a model, never in anything else.

`python -m attack --only files` tries many more; see `attack.files.models`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from attack.families import FAMILIES
from attack.worker import generator, load, run_case

COUNT = 200
KINDS = {
    "own-models": [], "state-dicts": [], "rtneural": [], "torch-files": ["torch"],
    "keras-files": ["h5py"], "hdf5": ["h5py"],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of zip archives with a name twice, and of overflow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_models(kind: str, tmp_path: Path) -> None:
    for name in KINDS[kind]:
        pytest.importorskip(name)
    family = FAMILIES[kind]
    case = load(family)
    for number in range(COUNT):
        wrong = run_case(family, case, 1, number, tmp_path)
        assert wrong is None, f"case {kind}:1:{number}: {wrong}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_is_always_the_same(kind: str) -> None:
    draws = [generator(kind, 1, 5).integers(1 << 60) for _ in range(2)]
    assert draws[0] == draws[1]
    module = FAMILIES[kind].case.partition(":")[0]
    for name in KINDS[kind]:
        pytest.importorskip(name)
    assert importlib.import_module(module)
