"""Threads and what show_runtime says."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cases import FAMILY, LOWER

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


def test_a_block_has_a_count_of_its_own(threads: None) -> None:
    fl.set_num_threads(3)
    with fl.num_threads(1):
        assert fl.get_num_threads() == 1
        assert fl.runtime_info()["threads"] == 1
        with fl.num_threads(4), fl.num_threads(None):
            assert fl.get_num_threads() == 4
        fl.set_num_threads(5)  # of the process: the block keeps its own
        assert fl.get_num_threads() == 1
    assert fl.get_num_threads() == 5


def test_a_block_that_raises_and_one_that_is_refused(threads: None) -> None:
    fl.set_num_threads(3)
    with pytest.raises(KeyError), fl.num_threads(1):
        raise KeyError
    with pytest.raises(ValueError, match="n is 0, expected 1 to 1024"), fl.num_threads(0):
        pass
    with pytest.raises(TypeError, match="n is '2', expected an integer"), fl.num_threads("2"):  # type: ignore[arg-type]
        pass
    assert fl.get_num_threads() == 3


def test_blocks_of_threads_side_by_side(threads: None) -> None:
    """Each thread sees its own count, however their blocks begin and end in between."""
    fl.set_num_threads(7)
    meet = threading.Barrier(8)

    def use(n: int) -> list[int]:
        seen = []
        for _ in range(20):
            meet.wait(600)
            with fl.num_threads(n):
                meet.wait(600)
                seen.append(fl.get_num_threads())
            seen.append(fl.get_num_threads())
        return seen

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(use, range(1, 9)))
    assert found == [[n, 7] * 20 for n in range(1, 9)]
    assert fl.get_num_threads() == 7


def test_a_function_and_a_task_have_theirs(threads: None) -> None:
    fl.set_num_threads(6)

    @fl.num_threads(2)
    def count() -> int:
        return fl.get_num_threads()

    async def task(n: int) -> int:
        with fl.num_threads(n):
            await asyncio.sleep(0)
            return fl.get_num_threads()

    async def both() -> list[int]:
        return await asyncio.gather(task(1), task(3))

    assert (count(), count(), fl.get_num_threads()) == (2, 2, 6)
    assert asyncio.run(both()) == [1, 3]


def threads_of(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import fastlstm as fl; print(fl.get_num_threads())"],
        env={**os.environ, "FASTLSTM_NUM_THREADS": text},
        capture_output=True,
        text=True,
        timeout=600,
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
    assert info["precisions"] == ["float32", "bfloat16", "int8"][: 1 if backend == "numba" else 3]
    assert info["threads"] == fl.get_num_threads()
    assert info["overrides"]["FASTLSTM_BACKEND"] == backend
    if backend == "native":
        assert isa in info["built_isas"]
        assert set(info["built_isas"]) <= {*FAMILY, *LOWER}


@pytest.mark.parametrize(
    ("without_lock", "enabled", "expected"),
    [
        (0, None, ""),
        (0, True, ""),
        (1, True, ", free-threaded, its lock on"),
        (1, False, ", free-threaded, its lock off"),
    ],
)
def test_pythons_lock_is_told(
    monkeypatch: pytest.MonkeyPatch, without_lock: int, enabled: bool | None, expected: str
) -> None:
    """A build of Python that could do without it takes it back for some extensions."""
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": without_lock}.get)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: enabled, raising=False)
    assert fl.runtime_info()["python"] == platform.python_version() + expected


def test_runtime_info_names_the_system() -> None:
    assert fl.runtime_info()["system"].startswith(platform.system().replace("Darwin", "macOS"))


def test_show_runtime_prints_each_fact(capsys: pytest.CaptureFixture[str]) -> None:
    fl.show_runtime()
    out = capsys.readouterr().out
    for name, value in fl.runtime_info().items():
        assert re.search(rf"^{name} +\S", out, re.MULTILINE), name
        if isinstance(value, (str, int)):
            assert str(value) in out
