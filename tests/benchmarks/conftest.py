"""The benchmarks are not installed: these tests need the source tree."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
if not (ROOT / "benchmarks" / "shapes.toml").exists():
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    """Undo what torch's side sets for the whole process; later tests compute with denormals."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)
    assert np.float32(1e-38) * np.float32(0.1) != 0


@pytest.fixture
def any_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the benchmarks run where the compiled kernels are missing, which they refuse."""
    try:
        importlib.import_module("fastlstm.kernels.native")
    except ImportError:
        monkeypatch.setenv("FASTLSTM_BACKEND", "reference")
