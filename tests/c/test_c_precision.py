"""Products in lower precision without Python: near the reference, equal where it is promised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from building import Program
from harness import pick_rows, run_case, run_cases
from loop_cases import CASES
from results import assert_same
from toolchains import RUNNABLE, harness_of

pytestmark = pytest.mark.pairs

# A number that two ways of the same maths round to neighbours moves what comes after it: a little.
NEAR = {"bfloat16": 0.02, "int8": 0.03}


@pytest.mark.parametrize("precision", NEAR)
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith(("long", "ripe"))])
def test_lower_precision_against_reference(
    rounding_program: Program, name: str, precision: str, tmp_path: Path
) -> None:
    case = replace(CASES[name], precision=precision)
    inputs = case.draw()
    expected = case.expected(inputs)
    levels = rounding_program.levels
    for isa, (actual,) in run_cases(rounding_program, levels, [(case, inputs)], tmp_path):
        for key, value in expected.items():
            scale = max(1, float(np.abs(value).max(initial=0)))
            error = float(np.abs(actual[key] - value).max(initial=0)) / scale
            assert error <= NEAR[precision], f"{isa}: {key} off by {error:.1e} of its scale"


@pytest.mark.parametrize("precision", NEAR)
@pytest.mark.parametrize("name", ["odd", "deep", "ragged", "tokens", "proj", "gru", "rnn_relu"])
def test_lower_precision_of_each_row(
    rounding_program: Program, name: str, precision: str, tmp_path: Path
) -> None:
    """Alone or in a batch, on one thread or two, a row gives the same bits."""
    case = replace(CASES[name], precision=precision, threads=2)
    inputs = case.draw()
    alone, picks = replace(case, threads=1), range(0, case.N, 3)
    given = [(case, inputs), *(pick_rows(alone, inputs, [n]) for n in picks)]
    levels = rounding_program.levels
    for isa, (whole, *rows) in run_cases(rounding_program, levels, given, tmp_path):
        for n, row in zip(picks, rows, strict=True):
            np.testing.assert_array_equal(row["y"][:, 0], whole["y"][:, n], err_msg=isa)


@pytest.mark.parametrize("name", ["odd", "deep", "ragged", "tokens", "proj", "gru", "rnn_relu"])
def test_int8_is_equal_where_products_alone_differ(
    rounding_program: Program, name: str, tmp_path: Path
) -> None:
    """Sums of integers are exact: of sets with the same vectors all bits are equal."""
    case = replace(CASES[name], precision="int8")
    inputs = case.draw()
    families = [isa for isa in ("avx2", "avx512", "neon") if isa in rounding_program.levels]
    assert families
    relatives = {"avx2": ("avxvnni",), "avx512": ("avx512vnni", "amx"), "neon": ("neondotprod",)}
    levels = rounding_program.levels
    runs = run_cases(rounding_program, levels, [(case, inputs)], tmp_path)
    found = {isa: results for isa, (results,) in runs}
    for family in families:
        for isa in relatives[family]:
            if isa in found:
                assert_same(found[isa], found[family], found[family], f"{isa} and {family}")


@pytest.mark.parametrize("precision", NEAR)
@pytest.mark.parametrize(
    "name",
    ["odd", "deep", "above_tiles", "ragged", "proj_wide", "ripe", "ripe_gru", "tokens"],
)
def test_emulated_tiles_are_the_processors(
    name: str, precision: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """To the bit, where a processor has them."""
    if "amx" not in RUNNABLE:
        pytest.skip("no tile registers in this processor, or none for this process")
    native, emulated = (harness_of(of, tmp_path_factory) for of in ("native", "emulated"))
    case = replace(CASES[name], precision=precision, threads=2)
    inputs = case.draw()
    of_processor = run_case(native, "amx", case, inputs, tmp_path)
    of_c = run_case(emulated, "amx", case, inputs, tmp_path)
    assert_same(of_c, of_processor, of_processor, "emulated")
