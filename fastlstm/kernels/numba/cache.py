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

from fastlstm.files.cache import cache_folder, make_room, settled
from fastlstm.files.opening import open_file
from fastlstm.files.writing import replacing
from fastlstm.kernels import activations, rows
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

    Attributes
    ----------
    warned : whether this process has said that it can keep nothing; each file has an error of its
        own.
    """

    warned = False

    def __init__(self, title: str, name: str | None) -> None:
        self._title, self._name = title, name

    def load_overload(self, sig: Any, target: Any) -> Any:
        """Return what the file holds; None if there is none, or it is damaged."""
        if self._name is not None:
            try:
                with open_file(self._path()) as file:  # a named pipe would never end
                    content = file.read()
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
            make_room(path)
            with replacing(path) as file:
                file.write(hashlib.sha256(content).digest() + content)
        except (OSError, ValueError) as error:
            if not _Cache.warned:
                _Cache.warned = True
                _warn_uncached(str(error))

    def _path(self) -> Path:
        return folder() / f"{self._name}.bin"


def folder() -> Path:
    """Return where compiled code is kept; it may not exist yet."""
    chosen = numba.config.CACHE_DIR
    if chosen:
        return settled(Path(chosen), "NUMBA_CACHE_DIR") / "fastlstm"
    return cache_folder() / "numba"


@cache
def _tell_once() -> None:
    """Say why nothing happens for a while: on standard error, if a program has no other wish."""
    LOG.warning("fastlstm: Numba compiles for this processor, which takes some seconds, once")


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
    shared = (Path(inspect.getfile(source)) for source in (activations, logistic, rows))
    for path in (*shared, *sorted(Path(__file__).parent.glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.digest()


def _name_of(
    function: Function, inner: tuple[Function | None, ...], signature: Any, processor: Any
) -> str | None:
    """Return a hash of all that compiled code depends on; None if it cannot be told."""
    digest = hashlib.sha256(_sources())

    def write(part: bytes) -> None:  # with its size: "1", "23" are not "12", "3"
        digest.update(b"%d:%b" % (len(part), part))

    write(repr((function.__qualname__, signature, processor)).encode())
    try:
        for part in inner:
            _describe(part, write, set())
    except TypeError:
        return None
    return digest.hexdigest()


def _describe(
    value: Any, write: Callable[[bytes], None], seen: set[Any], names: frozenset[str] = frozenset()
) -> None:
    """Write all that the compiled form of a value depends on.

    `names` are those that the code which holds the value uses: of a module only these matter.
    Raises TypeError for a value of which this is not known.
    """
    options = getattr(value, "targetoptions", {}), getattr(value, "locals", {})
    function = getattr(value, "py_func", value)  # of a function compiled by Numba
    if isinstance(function, types.FunctionType):
        write(f"{function.__module__}.{function.__qualname__}".encode())
        if (id(value), None) not in seen:
            seen.add((id(value), None))
            if function is not value:
                write(repr([sorted(part.items()) for part in options]).encode())
            _describe_function(function, write, seen)
    elif isinstance(value, types.ModuleType):
        write(value.__name__.encode())
        if (id(value), names) not in seen and not _is_hashed(value.__name__):
            seen.add((id(value), names))
            for name in sorted(names & vars(value).keys()):
                write(name.encode())
                _describe(getattr(value, name), write, seen, names)
    elif isinstance(value, (types.BuiltinFunctionType, type)) and _is_hashed(value.__module__):
        write(f"{value.__module__}.{value.__qualname__}".encode())
    elif isinstance(value, tuple):
        write(f"{type(value).__qualname__} of {len(value)}".encode())
        for part in value:
            _describe(part, write, seen, names)
    elif isinstance(value, (int, float, complex, str, bytes, np.generic, type(None))):
        write(f"{type(value).__qualname__} {value!r}".encode())
    else:
        raise TypeError(f"{type(value).__name__} cannot be described")


def _describe_function(
    function: types.FunctionType, write: Callable[[bytes], None], seen: set[Any]
) -> None:
    """Write the code of a function, its defaults, and what it takes from outside."""
    names = _describe_code(function.__code__, write)
    keywords = function.__kwdefaults__ or {}
    _describe((function.__defaults__, *sorted(keywords.items())), write, seen, names)
    for cell in function.__closure__ or ():
        _describe(cell.cell_contents, write, seen, names)
    for name in sorted(names & function.__globals__.keys()):
        write(name.encode())
        _describe(function.__globals__[name], write, seen, names)


def _describe_code(code: types.CodeType, write: Callable[[bytes], None]) -> frozenset[str]:
    """Write code with that of the functions inside, and return the names that it looks up."""
    names = frozenset(code.co_names)
    arguments = code.co_argcount, code.co_kwonlyargcount, code.co_flags
    variables = code.co_varnames, code.co_freevars, code.co_cellvars
    for part in (code.co_code, arguments, code.co_names, *variables, len(code.co_consts)):
        write(repr(part).encode())
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):  # its repr would tell where it lies in memory
            names |= _describe_code(constant, write)
        else:
            write(repr(constant).encode())
    return names


def _is_hashed(module: str | None) -> bool:
    """Whether a module is of what `_sources` knows the version of."""
    top = (module or "").partition(".")[0]
    return top in sys.stdlib_module_names or top in ("numba", "llvmlite", "numpy")
