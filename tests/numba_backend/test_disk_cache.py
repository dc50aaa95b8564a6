"""Compiled code on disk: found by the next process, and not by another cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

COMPILE = """
import numpy as np
from fastlstm.kernels.numba_backend.cells import MATHS
from fastlstm.kernels.numba_backend.engine import Loops, shared
for compiled in (shared(np.dtype("f4")).pack, Loops(MATHS["rnn_relu"], np.dtype("f4")).forward):
    stats = compiled.stats
    print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def compile_in_a_process(folder: Path) -> list[str]:
    import os

    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_next_process_compiles_nothing(tmp_path: Path) -> None:
    assert compile_in_a_process(tmp_path) == ["0 1", "0 1"]
    assert compile_in_a_process(tmp_path) == ["1 0", "1 0"]


def name_of(*functions: Any) -> str | None:
    from fastlstm.kernels.numba_backend.cache import _name_of

    return _name_of(functions)


def make(constant: float = 1.0, captured: Any = 2.0) -> Any:
    def function(x: float) -> float:
        return x * captured

    def other(x: float) -> float:
        return x * captured + 0.5

    return function if constant == 1 else other


LEAK = 0.5


def leaky(x: float) -> float:
    return LEAK * x


def test_the_name_holds_all_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        name_of(make()),
        name_of(make(constant=0)),
        name_of(make(captured=3.0)),
        name_of(make(captured=np.float32(2))),
        name_of(make(captured=make(captured=4.0))),
        name_of(make(captured=make(captured=5.0))),
        name_of(make(), make(captured=3.0)),
        name_of(leaky),
    ]
    monkeypatch.setitem(globals(), "LEAK", 0.25)
    names.append(name_of(leaky))
    assert None not in names
    assert len(set(names)) == len(names)
    assert name_of(make()) == names[0]


def test_what_cannot_be_described_is_not_cached() -> None:
    assert name_of(make(captured=object())) is None


def test_no_folder_to_write_to_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import types

    from fastlstm.kernels.numba_backend import cache

    def refuse(*_: Any) -> None:
        raise RuntimeError("no locator available")

    monkeypatch.setattr(cache, "_Cache", refuse)
    cache._warn_uncached.cache_clear()
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        compiled = cache.compile_cached(leaky, (), (types.float64,))
    assert compiled(3.0) == 1.5
    assert cache.compile_cached(leaky, (), (types.float32,))(3.0) == 1.5
