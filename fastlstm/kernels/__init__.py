"""The engine. `get` is its only door: it returns the kernels of a cell in a backend."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection
from functools import cache
from importlib import import_module
from typing import Any, cast

from fastlstm.kernels.rows import Rows
from fastlstm.kernels.spec import (
    CELLS,
    CellSpec,
    Kernel,
    MemoryUse,
    Reset,
    States,
    Stream,
    Tokens,
    Weights,
)

__all__ = [
    "BACKENDS",
    "CELLS",
    "ISAS",
    "CellSpec",
    "Kernel",
    "MemoryUse",
    "Reset",
    "Rows",
    "States",
    "Stream",
    "Tokens",
    "Weights",
    "default_backend",
    "env_choice",
    "get",
]

# Backend name -> module, best first.
BACKENDS = {
    "native": "fastlstm.kernels.native",
    "numba": "fastlstm.kernels.numba_backend",
    "reference": "fastlstm.kernels.reference",
}
ISAS = ("base", "avx2", "avx512", "neon")


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


def get(cell: str = "lstm", backend: str | None = None) -> Kernel:
    """Return the kernels of `cell`: see `Kernel`.

    Parameters
    ----------
    cell : a name in `CELLS`.
    backend : a name in `BACKENDS`; None takes `default_backend`.

    Raises
    ------
    ValueError
        If the cell or the backend, or a value of FASTLSTM_BACKEND or FASTLSTM_ISA, is unknown.
    ImportError
        If the native backend is asked for by name and its extension cannot be loaded.
    """
    if cell not in CELLS:
        raise ValueError(f"cell is {cell!r}, expected one of {', '.join(CELLS)}")
    if backend is None:
        backend = default_backend()
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}, expected one of {', '.join(BACKENDS)}")
    return _kernel(cell, backend)


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
            RuntimeWarning,
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
def _kernel(cell: str, backend: str) -> Kernel:
    return cast(Kernel, _load(backend).Kernel(CELLS[cell]))


@cache
def _load(backend: str) -> Any:
    env_choice("FASTLSTM_ISA", ISAS)
    return import_module(BACKENDS[backend])
