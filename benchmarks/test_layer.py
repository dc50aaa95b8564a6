"""The recurrent layers over the shapes of `shapes.toml`, fastlstm and torch side by side."""

from __future__ import annotations

import pytest

from benchmarks.conftest import Bench
from benchmarks.shapes import Case

pytest.importorskip("torch", reason="nothing is timed that is not compared with torch")
pytest.importorskip("pytest_benchmark")


def test_layer(bench: Bench, layer_case: Case, threads: int, side: str) -> None:
    bench(layer_case, threads, side)
