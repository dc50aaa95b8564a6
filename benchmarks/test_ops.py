"""Every other public layer and loss, fastlstm and torch side by side."""

from __future__ import annotations

import pytest

from benchmarks.conftest import Bench
from benchmarks.shapes import Case

pytest.importorskip("torch", reason="nothing is timed that is not compared with torch")
pytest.importorskip("pytest_benchmark")


def test_op(bench: Bench, op_case: Case, threads: int, side: str) -> None:
    bench(op_case, threads, side)
