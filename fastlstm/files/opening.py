"""Opening and reading regular files only: a pipe that nobody writes to would block forever."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

AnyPath = str | os.PathLike[str]

_KINDS = (
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# The standard input, and the pipe that a shell makes of ``<(command)``.
_HANDED_OVER = re.compile(r"/dev/stdin|/(?:dev|proc/self)/fd/(\d+)")


def open_file(path: AnyPath, mode: str = "rb") -> BinaryIO:
    """Open a regular file in a binary mode; OSError, which says what it is, for anything else."""
    try:
        file = cast(BinaryIO, open(path, mode, opener=_without_waiting))
    except OSError:
        if os.path.exists(path):
            _check(path, os.stat(path).st_mode)
        raise
    try:
        _check(path, os.fstat(file.fileno()).st_mode)
    except BaseException:
        file.close()
        raise
    return file


def open_input(path: AnyPath) -> io.BufferedReader:
    """Open the input that a user names: a regular file, ``/dev/stdin``, or ``<(command)``.

    These two pipes have a writer; a named pipe may have none.
    """
    handed_over = _HANDED_OVER.fullmatch(os.fspath(path))
    if handed_over:
        descriptor = int(handed_over[1] or 0)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.fdopen(os.dup(descriptor), "rb")
    return cast(io.BufferedReader, open_file(path))


def is_handed_over(path: AnyPath) -> bool:
    """Whether it is one of the two pipes of `open_input`, which can be read once."""
    return _HANDED_OVER.fullmatch(os.fspath(path)) is not None


def check_file(path: AnyPath) -> None:
    """Raise OSError unless a regular file is at `path`."""
    _check(path, os.stat(path).st_mode)


def read_bytes(path: AnyPath) -> bytes:
    """Return the content of a file; errors are those of `open_file`."""
    with open_file(path) as file:
        return file.read()


def sha256_of(path: AnyPath) -> str:
    """Return the SHA-256 of a file of any size, in hexadecimal."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def read_text(path: AnyPath) -> str:
    """Return the text of a UTF-8 file with ``"\\n"`` as line end; ValueError if it is not UTF-8."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}): convert it first") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


@contextmanager
def reading(path: Path, told: str = "is damaged", way: str = "") -> Iterator[None]:
    """Raise ValueError, naming the file, if reading it inside the block or using it fails.

    The message ends with the `way` out, if there is one.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path} {told}: {error}" + (way and f"; {way}")) from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def _check(path: AnyPath, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
        raise OSError(f"{Path(path)} is {kind}, expected a file")
