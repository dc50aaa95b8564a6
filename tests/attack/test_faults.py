"""The lists of planted faults are true: each finds its place in the sources."""

from __future__ import annotations

import pytest
from faults import MUTANTS

from attack.faults.part import ALL
from attack.plan import FULL, ROOT

if not (ROOT / "setup.py").exists():
    pytest.skip("needs the sources, not only the installed package", allow_module_level=True)

EACH = [(name, k) for name, faults in ALL.items() for k in range(len(faults))]


@pytest.mark.parametrize(("name", "number"), EACH)
def test_a_fault_changes_one_place(name: str, number: int) -> None:
    """Where sources were changed, its text here must follow, or another fault take its place."""
    fault = ALL[name][number]
    assert (ROOT / fault.file).read_text(encoding="utf-8").count(fault.old) == 1
    assert fault.new != fault.old


@pytest.mark.parametrize(("name", "number"), EACH)
def test_the_tests_of_a_fault_exist(name: str, number: int) -> None:
    for place in ALL[name][number].tests.split():
        assert (ROOT / place).exists()


def test_there_are_as_many_as_an_attack_asks_for() -> None:
    assert len(EACH) + len(MUTANTS) >= FULL["faults"]
