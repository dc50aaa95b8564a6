"""A forward pass that is told to stop, without Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from harness import Case, run_case
from toolchains import ASK, harness_of


def test_a_pass_stops_where_it_is_told(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whether it takes all rows step by step or, with tiles, some of them through all steps, then
    others: as many operations lie between two questions, and nothing is done after the answer."""
    emulated = harness_of("emulated", tmp_path_factory)
    case = Case(50, 400, 16, 16, precision="bfloat16")
    rows, every = case.T * case.N, ASK // (2 * 64 * 32) + 1
    inputs, last = case.draw(), rows // every
    for isa in emulated.levels:
        for stop in (1, 5, last):
            y = run_case(emulated, isa, replace(case, stop=stop), inputs, tmp_path)["y"]
            assert np.isnan(y).all(), f"{isa}: rows were worked on after question {stop}"
        with pytest.raises(RuntimeError, match="was not stopped"):
            run_case(emulated, isa, replace(case, stop=last + 2), inputs, tmp_path)
