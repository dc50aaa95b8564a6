"""Errors of reading a file that anybody may have made: of one kind, and with the file's name."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

# What reading a damaged zip archive raises; an OSError is that of seeking where nothing is.
BAD_ARCHIVE = (
    EOFError, NotImplementedError, OSError, RuntimeError, UnicodeError, ValueError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
# What a value of another type or size than expected may raise where it is used.
RAISED = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, RuntimeError,
    TypeError, ValueError, struct.error,
)  # fmt: skip


@contextmanager
def reading(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Raise ValueError, in one line and with the file's name, if the block raises any of RAISED."""
    try:
        yield
    except RAISED as error:
        told = " ".join(str(error).split()) or type(error).__name__
        if not told.startswith(str(path)):
            told = f"{path} cannot be read as {kind}: {told}"
        raise ValueError(told) from error


def package(name: str, extra: str, what: str) -> Any:
    """Return an optional package; ImportError says which extra of ours has it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{what} needs the package {name}: pip install 'fastlstm[{extra}]'"
        ) from error
