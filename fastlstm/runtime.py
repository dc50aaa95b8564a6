"""Threads, and what is in use: backend, instruction set, versions, overrides."""

from __future__ import annotations

import operator
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from fastlstm import kernels
from fastlstm._version import __version__
from fastlstm.kernels.call import PRECISIONS

MAX_THREADS = 1024
OVERRIDES = ("FASTLSTM_BACKEND", "FASTLSTM_ISA", "FASTLSTM_NUM_THREADS")

_num_threads: int | None = None  # of the process, as it was set
_block_threads: ContextVar[int | None] = ContextVar("fastlstm_num_threads", default=None)


def get_num_threads() -> int:
    """Return how many threads a call may use.

    That is the count of the `num_threads` block, else of `set_num_threads`, else of the environment
    variable FASTLSTM_NUM_THREADS, else the cores this process may run on. Small work uses fewer.

    Raises
    ------
    ValueError
        If FASTLSTM_NUM_THREADS is not a whole number from 1 to 1024.
    """
    inside = _block_threads.get()
    if inside is not None:
        return inside
    chosen = _num_threads  # read once: another thread may set it
    return _default_threads() if chosen is None else chosen


@cache
def _default_threads() -> int:
    text = os.environ.get("FASTLSTM_NUM_THREADS")
    return _from_environment(text) if text else _available_cores()


def set_num_threads(n: int) -> None:
    """Set how many threads a call may use, in the whole process; results do not depend on it.

    Blocks of `num_threads` keep their own count.

    Raises
    ------
    TypeError
        If n is not an integer.
    ValueError
        If n is not from 1 to 1024.
    """
    global _num_threads
    _num_threads = _count(n)


@contextmanager
def num_threads(n: int | None) -> Iterator[None]:
    """Let calls inside a ``with`` block, or a function under ``@num_threads(1)``, use n threads.

    None changes nothing. The count belongs to the context (`contextvars`) of the caller: other
    threads and asyncio tasks keep theirs.

    Raises
    ------
    TypeError, ValueError
        As `set_num_threads`.
    """
    token = _block_threads.set(_block_threads.get() if n is None else _count(n))
    try:
        yield
    finally:
        _block_threads.reset(token)


def worker_threads() -> int | None:
    """Return how many threads work that another process sent here should use; None: as always.

    A number that was chosen in this process counts first. Else it is OMP_NUM_THREADS, which Ray,
    Dask, Spark and joblib set for their workers to the share that each has of the machine; without
    that, one in a child of `multiprocessing`, which as a rule has many siblings.
    """
    chosen = (_block_threads.get(), _num_threads)
    if chosen != (None, None) or os.environ.get("FASTLSTM_NUM_THREADS"):
        return None
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if told.isdecimal() and int(told):
        return min(int(told), _available_cores())
    process: Any = sys.modules.get("multiprocessing.process")  # which a child of it has
    return 1 if process is not None and process.parent_process() is not None else None


def runtime_info() -> dict[str, Any]:
    """Return what `show_runtime` prints: version, backend, isa, built_isas, threads, ...

    `isa` is the instruction set in use; it is "host" for numba and "numpy" for the reference.
    `precisions` are those in which the backend can make products.
    """
    backend = kernels.default_backend()
    native: Any = import_module(kernels.BACKENDS["native"]) if backend == "native" else None
    isa = native.isa() if native else {"numba": "host", "reference": "numpy"}[backend]
    return {
        "version": __version__,
        "backend": backend,
        "isa": isa,
        "built_isas": list(native.built_isas()) if native else [],
        "precisions": list(PRECISIONS[:1] if backend == "numba" else PRECISIONS),
        "threads": get_num_threads(),
        "cores": _available_cores(),
        "python": _python(),
        "numpy": np.__version__,
        "blas": _blas(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "overrides": {name: os.environ[name] for name in OVERRIDES if os.environ.get(name)},
    }


def show_runtime() -> None:
    """Print the entries of `runtime_info`, one on each line."""
    for name, value in runtime_info().items():
        if isinstance(value, dict):
            value = ", ".join(f"{k}={v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(value)
        print(f"{name:<11} {value or '-'}")


def _python() -> str:
    """Return Python's version, and of a free-threaded one whether its lock is on all the same."""
    version = platform.python_version()
    import sysconfig  # here: it loads much for a line of show_runtime

    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return version
    locked: Any = sys._is_gil_enabled  # type: ignore[attr-defined,unused-ignore]  # of 3.13
    return f"{version}, free-threaded, its lock {'on' if locked() else 'off'}"


def _blas() -> str:
    """Return name and version of NumPy's BLAS, or "unknown" before NumPy 1.25."""
    try:
        config: Any = np.show_config(mode="dicts")
        blas = config["Build Dependencies"]["blas"]
        return f"{blas['name']} {blas.get('version', '')}".strip()
    except (TypeError, KeyError):
        return "unknown"


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)


def _from_environment(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError(
            f"FASTLSTM_NUM_THREADS={text!r}, expected a whole number from 1 to {MAX_THREADS}"
        ) from None
    return _in_range("FASTLSTM_NUM_THREADS", value)


def _count(n: int) -> int:
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"n is {n!r}, expected an integer")
    return _in_range("n", operator.index(n))


def _in_range(name: str, value: int) -> int:
    if not 1 <= value <= MAX_THREADS:
        raise ValueError(f"{name} is {value}, expected 1 to {MAX_THREADS}")
    return value
