"""Compiled code on disk.

Numba's own cache knows a function by its source file alone. The time loop is compiled around
other functions and from several files: its place in the cache is named after all of them.
Where Numba keeps it: beside the source, or in a folder of the user's if that cannot be written
to; the environment variable NUMBA_CACHE_DIR sets another one.
"""

from __future__ import annotations

import hashlib
import types
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache

from fastlstm.kernels import activations
from fastlstm.kernels.numba_backend.jit import OPTIONS

Function = Callable[..., Any]


class _Cache(FunctionCache):  # type: ignore[misc]  # Numba has no types
    """A function's cache under a name of ours."""

    def __init__(self, function: Function, name: str) -> None:
        super().__init__(function)
        self._name = name

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple(), self._name


def compile_cached(function: Function, inner: tuple[Function, ...], signature: Any) -> Any:
    """Compile a function or take it from the cache.

    Parameters
    ----------
    function : to compile, not decorated.
    inner : the functions of a cell that it is compiled around, as they were before.
    signature : Numba types of its arguments.
    """
    dispatcher = numba.njit(**OPTIONS)(function)
    name = _name_of(inner)
    if name is not None:
        try:
            dispatcher._cache = _Cache(function, name)
        except RuntimeError as error:
            _warn_uncached(str(error))
    dispatcher.compile(signature)
    return dispatcher


@cache
def _warn_uncached(why: str) -> None:
    warnings.warn(
        f"compiled code cannot be kept on disk and is made anew by each process ({why}); "
        "set NUMBA_CACHE_DIR to a folder that can be written to",
        RuntimeWarning,
        stacklevel=5,
    )


@cache
def _sources() -> bytes:
    """Hash of this package's sources."""
    digest = hashlib.sha256()
    for path in (Path(activations.__file__), *sorted(Path(__file__).parent.glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.digest()


def _name_of(inner: tuple[Function, ...]) -> str | None:
    """Return a hash of the sources and of functions; None if those cannot be told apart."""
    digest = hashlib.sha256(_sources())
    try:
        for function in inner:
            _describe(function, digest.update, set())
    except TypeError:
        return None
    return digest.hexdigest()


def _describe(value: Any, write: Callable[[bytes], None], seen: set[int]) -> None:
    """Write all that the compiled form of a value depends on."""
    value = getattr(value, "py_func", value)  # of a function compiled by Numba
    if isinstance(value, types.FunctionType):
        if id(value) in seen:
            return
        seen.add(id(value))
        # Its module too: what is loaded again looks for its globals there.
        write(f"{value.__module__}.{value.__qualname__}".encode())
        code = value.__code__
        for part in (code.co_code, code.co_consts, code.co_names, code.co_varnames):
            write(repr(part).encode())
        for cell in value.__closure__ or ():
            _describe(cell.cell_contents, write, seen)
        for name in code.co_names:
            if name in value.__globals__:
                _describe(value.__globals__[name], write, seen)
    elif isinstance(value, (types.ModuleType, types.BuiltinFunctionType, type)):
        write(value.__name__.encode())
    elif isinstance(value, (int, float, str, bytes, tuple, np.generic, type(None))):
        write(repr(value).encode())
    else:
        raise TypeError(f"{type(value).__name__} cannot be described")
