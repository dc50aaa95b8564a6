"""Threads and what show_runtime says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest
from cases import FAMILY

import fastlstm as fl


def test_set_and_get(threads: None) -> None:
    fl.set_num_threads(3)
    assert fl.get_num_threads() == 3


@pytest.mark.parametrize("n", [0, -1, 1025])
def test_out_of_range(threads: None, n: int) -> None:
    fl.set_num_threads(2)
    with pytest.raises(ValueError, match=f"n is {n}, expected 1 to 1024"):
        fl.set_num_threads(n)
    assert fl.get_num_threads() == 2


@pytest.mark.parametrize("n", [1.5, "2", None, True])
def test_no_integer(n: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(f"n is {n!r}, expected an integer")):
        fl.set_num_threads(n)


def threads_of(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import fastlstm as fl; print(fl.get_num_threads())"],
        env={**os.environ, "FASTLSTM_NUM_THREADS": text},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_environment() -> None:
    assert threads_of("5").stdout.strip() == "5"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity there")
def test_default_is_what_the_process_may_use() -> None:
    assert int(threads_of("").stdout) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("text", ["0", "-2", "many", "1.5", "99999"])
def test_wrong_environment(text: str) -> None:
    done = threads_of(text)
    assert done.returncode
    assert "ValueError: FASTLSTM_NUM_THREADS" in done.stderr
    assert text in done.stderr


def test_runtime_info(backend_isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = fl.runtime_info()
    backend, _, isa = backend_isa.partition("-")
    assert info["backend"] == backend
    assert info["isa"] == (isa or {"numba": "host", "reference": "numpy"}[backend])
    assert info["version"] == fl.__version__
    assert info["threads"] == fl.get_num_threads()
    assert info["overrides"]["FASTLSTM_BACKEND"] == backend
    if backend == "native":
        assert isa in info["built_isas"]
        assert set(info["built_isas"]) <= {*FAMILY}


def test_show_runtime_prints_each_fact(capsys: pytest.CaptureFixture[str]) -> None:
    fl.show_runtime()
    out = capsys.readouterr().out
    for name, value in fl.runtime_info().items():
        assert re.search(rf"^{name} +\S", out, re.MULTILINE), name
        if isinstance(value, (str, int)):
            assert str(value) in out
