"""The instruction sets that the harness holds."""

from __future__ import annotations

import pytest
from building import Program
from cases import ON_ARM
from setup_file import ROOT

NATIVE_ISA = "neon" if ON_ARM else "base"


def test_holds_the_instruction_sets_it_should(program: Program) -> None:
    assert ("neon" if program.runner else NATIVE_ISA) in program.isas
    if program.runner:  # the emulator has them
        assert program.levels == ["neon", "neondotprod", "neonbf16"]


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16", "int8"])
def test_base_on_arm_is_neon(dtype: str) -> None:
    """All of either is compiled from the same lines for the same target, so one is tested."""
    base, neon = (
        (ROOT / "fastlstm/kernels/native/src" / f"isa_{isa}_{dtype}.c").read_text().splitlines()[1:]
        for isa in ("base", "neon")
    )
    assert base == [line.replace("neon", "base") for line in neon]
