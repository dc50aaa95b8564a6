"""Compiled code on disk, in the user's cache folder.

Numba's own cache lies beside the sources, where its files outlive the package and hide a later
installation, and knows a function by its source file alone. The time loop is compiled around other
functions and from several files: a file here is named after all that its code depends on, so it is
either right or not looked at, and processes that write the same one write the same bytes.

The folder is "numba" in that of `fastlstm.text.cache_folder`; NUMBA_CACHE_DIR sets another one.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import logging
import pickle
import secrets
import sys
import types
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.bytecode import FunctionIdentity
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.core.types import BaseTuple, int64

from fastlstm.files.cache import cache_folder
from fastlstm.files.writing import replacing
from fastlstm.kernels import activations
from fastlstm.kernels.numba.jit import OPTIONS, jit
from fastlstm.kernels.numba.workers import in_parts
from fastlstm.kernels.reference import logistic
from fastlstm.notices import SlowWarning

Function = Callable[..., Any]
LOG = logging.getLogger(__name__)
DIGEST = 32  # bytes
# Numba tells functions of one name apart by numbers that start anew in each process. Code of two
# processes would have the same symbols, of which the first that is loaded would stand for both.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(62))


def compile_cached(function: Function, inner: tuple[Function | None, ...], signature: Any) -> Any:
    """Compile a function or take it from the cache.

    Parameters
    ----------
    function : to compile, not decorated.
    inner : the functions of a cell that it is compiled around, as they were before.
    signature : Numba types of its arguments.
    """
    return _compile(numba.njit(**OPTIONS)(function), function, inner, tuple(signature))


def compile_parts(function: Function, inner: tuple[Function | None, ...], signature: Any) -> Any:
    """The same for one that runs in parts: called as ``f(parts, ...)``, see `in_parts`.

    function itself takes part and parts, then what `signature` is of.
    """
    task = jit(function)

    @numba.njit(**OPTIONS)
    def run(parts: int, *arguments: Any) -> None:
        in_parts(task, parts, arguments)

    return _compile(run, function, inner, (int64, BaseTuple.from_types(tuple(signature))))


def _compile(
    dispatcher: Any, function: Function, inner: tuple[Function | None, ...], sig: Any
) -> Any:
    target = dispatcher.targetctx
    target.refresh()
    name = _name_of(function, inner, sig, target.codegen().magic_tuple())
    title = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    dispatcher._cache = _Cache(title, name)
    dispatcher.compile(sig)
    dispatcher.disable_compile()  # for arguments of other types: the file's name is of these
    return dispatcher


class _Cache:
    """One compiled function, as Numba asks for it and gives it.

    Parameters
    ----------
    title : of the function, for people.
    name : of its file; None to keep nothing.
    """

    def __init__(self, title: str, name: str | None) -> None:
        self._title, self._name = title, name

    def load_overload(self, sig: Any, target: Any) -> Any:
        """Return what the file holds; None if there is none, or it is damaged."""
        if self._name is not None:
            try:
                content = self._path().read_bytes()
                if content[:DIGEST] == hashlib.sha256(content[DIGEST:]).digest():
                    return CompileResult._rebuild(target, *pickle.loads(content[DIGEST:]))
            except (OSError, ValueError):  # ValueError: the name of a folder that cannot be one
                pass
        _tell_once()
        LOG.info("compiling %s", self._title)
        return None

    def save_overload(self, sig: Any, result: Any) -> None:
        if self._name is None or result.library.has_dynamic_globals:
            return
        content = dumps(result._reduce())
        try:
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(hashlib.sha256(content).digest() + content)
        except (OSError, ValueError) as error:
            _warn_uncached(str(error))

    def _path(self) -> Path:
        return folder() / f"{self._name}.bin"


def folder() -> Path:
    """Return where compiled code is kept; it may not exist yet."""
    chosen = numba.config.CACHE_DIR
    return Path(chosen) / "fastlstm" if chosen else cache_folder() / "numba"


@cache
def _tell_once() -> None:
    """Say why nothing happens for a while: on standard error, if a program has no other wish."""
    LOG.warning("fastlstm: Numba compiles for this processor, which takes some seconds, once")


@cache
def _warn_uncached(why: str) -> None:
    warnings.warn(
        f"compiled code cannot be kept on disk and is made anew by each process ({why}); "
        "set FASTLSTM_CACHE to a folder that can be written to",
        SlowWarning,
        stacklevel=5,
    )


@cache
def _sources() -> bytes:
    """Hash of this package's sources, of those that it compiles of others, and of what does so."""
    versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    digest = hashlib.sha256(repr(versions).encode())
    shared = (Path(inspect.getfile(source)) for source in (activations, logistic))
    for path in (*shared, *sorted(Path(__file__).parent.glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.digest()


def _name_of(
    function: Function, inner: tuple[Function | None, ...], signature: Any, processor: Any
) -> str | None:
    """Return a hash of all that compiled code depends on; None if it cannot be told."""
    digest = hashlib.sha256(_sources())
    digest.update(repr((function.__qualname__, signature, processor)).encode())
    try:
        for part in inner:
            _describe(part, digest.update, set())
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
