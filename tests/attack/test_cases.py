"""Some cases of the newer kinds, each time the same: the attack makes thousands of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from attack.families import FAMILIES
from attack.worker import load, run_case

SEED = 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "count"), [("sparse", 300), ("texts", 300), ("vectors", 500), ("joined-runs", 200)]
)
def test_hostile_cases(name: str, count: int, tmp_path: Path) -> None:
    family = FAMILIES[name]
    case = load(family)
    for number in range(count):
        wrong = run_case(family, case, SEED, number, tmp_path)
        assert wrong is None, f"case {name}:{SEED}:{number}: {wrong}"
