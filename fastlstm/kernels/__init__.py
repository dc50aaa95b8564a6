"""The engine. `backend` is its only door: it returns what runs the cells of `CELLS`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection
from functools import cache
from importlib import import_module
from typing import cast

from fastlstm import memory, notices
from fastlstm.kernels.backend import Backend, Stream
from fastlstm.kernels.call import (
    PRECISIONS,
    Array,
    Call,
    Gradients,
    Reset,
    States,
    Tokens,
    Weights,
)
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.spec import CELLS, CellSpec

__all__ = [
    "BACKENDS",
    "CELLS",
    "ISAS",
    "PRECISIONS",
    "Array",
    "Backend",
    "Call",
    "CellSpec",
    "Gradients",
    "Reset",
    "Rows",
    "States",
    "Stream",
    "Tokens",
    "Weights",
    "backend",
    "default_backend",
    "env_choice",
]

# Backend name -> module, best first.
BACKENDS = {
    "native": "fastlstm.kernels.native",
    "numba": "fastlstm.kernels.numba",
    "reference": "fastlstm.kernels.reference",
}
ISAS = (
    "base", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "amx", "neon", "neondotprod",
    "neonbf16",
)  # fmt: skip


def env_choice(name: str, valid: Collection[str]) -> str | None:
    """Return the value of environment variable `name`, None if unset or empty.

    Raises
    ------
    ValueError
        If it is not one of `valid`.
    """
    value = os.environ.get(name) or None
    if value is not None and value not in valid:
        raise ValueError(f"{name}={value!r}, expected one of {', '.join(valid)}")
    return value


def backend(name: str | None = None) -> Backend:
    """Return a backend: see `Backend`.

    Parameters
    ----------
    name : one of `BACKENDS`; None takes `default_backend`.

    Raises
    ------
    ValueError
        If the name, or a value of FASTLSTM_BACKEND or FASTLSTM_ISA, is unknown.
    ImportError
        If a backend is asked for by name and what it needs cannot be loaded.
    MemoryError
        If that is for lack of memory.
    """
    if name is None:
        name = default_backend()
    if name not in BACKENDS:
        raise ValueError(f"backend is {name!r}, expected one of {', '.join(BACKENDS)}")
    return _load(name)


def default_backend() -> str:
    """Return FASTLSTM_BACKEND if set, else the best that can be loaded, with a warning if slow."""
    env_choice("FASTLSTM_ISA", ISAS)
    return env_choice("FASTLSTM_BACKEND", BACKENDS) or _best_backend()


@cache
def _best_backend() -> str:
    try:
        _load("native")
    except ImportError as error:
        name, what = _second_best()
        warnings.warn(
            f"fastlstm's compiled kernels cannot be loaded ({error}); {what}",
            notices.SlowWarning,
            stacklevel=4,
        )
        return name
    return "native"


def _second_best() -> tuple[str, str]:
    """Return the backend that takes the place of the compiled kernels, and what it is like."""
    try:
        _load("numba")
    except ImportError:
        return "reference", (
            "the NumPy reference runs in their place, many times slower "
            "(pip install 'fastlstm[numba]' for one that compiles itself)"
        )
    return "numba", "the Numba backend runs in their place and compiles itself at first use"


@cache
def _load(name: str) -> Backend:
    env_choice("FASTLSTM_ISA", ISAS)
    try:
        return cast(Backend, import_module(BACKENDS[name]))
    except Exception as error:
        # No other backend takes its place: each would need more memory.
        if memory.is_memory_short():
            raise MemoryError(f"no memory to load the {name} backend") from error
        raise
