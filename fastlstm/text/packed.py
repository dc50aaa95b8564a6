"""Packed files (gzip, bzip2, xz, zip), recognised by their first bytes.

A small packed file may unpack to a huge one, so what comes out of it has a limit.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from fastlstm.counts import count_of
from fastlstm.files.opening import open_input

ENDINGS = (".gz", ".bz2", ".xz", ".zip")

FREE_BYTES = 1 << 26
_MOST_TIMES = 200  # times the packed size; real texts have 3 to 10
_BEGINNINGS: tuple[tuple[bytes, Callable[[io.BufferedReader], io.BufferedIOBase]], ...] = (
    (rb"\x1f\x8b\x08", lambda file: gzip.GzipFile(fileobj=file)),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", lambda file: bz2.BZ2File(file)),
    (rb"\xfd7zXZ\x00", lambda file: lzma.LZMAFile(file)),
)
_ZIP, _ZSTD = b"PK\x03\x04", b"\x28\xb5\x2f\xfd"
# What unpacking damaged data raises.
DAMAGE = (EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def bare_name(path: Path) -> str:
    """Return a file's name in lower case, without an ending such as ".gz"."""
    name = path.name.lower()
    return next((name.removesuffix(end) for end in ENDINGS if name.endswith(end)), name)


def open_unpacked(path: Path) -> io.BufferedReader | Unpacked:
    """Open a user's input with `open_input`, and unpack it if it is packed.

    Raises ValueError if it is packed in another way, or a zip archive without just one file.
    """
    file = open_input(path)
    try:
        start = file.peek(10)[:10]
        if start.startswith(_ZSTD):
            raise ValueError(f"{path} is packed by zstd: unpack it first (zstd -d)")
        if start.startswith(_ZIP):
            return Unpacked(path, file, _only_member(path, file))
        for beginning, unpack in _BEGINNINGS:
            if re.match(beginning, start, re.DOTALL):
                return Unpacked(path, file, unpack(file))
    except BaseException:
        file.close()
        raise
    return file


class Unpacked:
    """The content of an open packed file, to be read once; closing it closes the file."""

    def __init__(self, path: Path, packed: io.BufferedReader, content: io.BufferedIOBase) -> None:
        self._path, self._packed, self._content = path, packed, content
        size = os.fstat(packed.fileno()).st_size  # 0 for a pipe
        self._most = max(FREE_BYTES, size * _MOST_TIMES) if size else None
        self._bytes = 0

    def read1(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; ValueError if damaged or far too many."""
        try:
            data = self._content.read1(size)
        except DAMAGE as error:
            raise ValueError(f"{self._path} is damaged or half a download: {error}") from error
        self._bytes += len(data)
        if self._most is not None and self._bytes > self._most:
            raise ValueError(
                f"{self._path} unpacks to more than {_MOST_TIMES} times its size, which no text "
                "does; if it is meant so, unpack it first"
            )
        return data

    def __enter__(self) -> Unpacked:
        return self

    def __exit__(self, *ignored: object) -> None:
        self._content.close()
        self._packed.close()


def _only_member(path: Path, file: io.BufferedReader) -> io.BufferedIOBase:
    """Open the only file of a zip archive."""
    try:
        archive = zipfile.ZipFile(file)
    except (*DAMAGE, ValueError) as error:
        raise ValueError(f"{path} is damaged or half a download: {error}") from error
    names = [name for name in archive.namelist() if _is_content(name)]
    if "[Content_Types].xml" in names:
        raise ValueError(f"{path} is an office document: save it as CSV (UTF-8)")
    if len(names) != 1:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise ValueError(
            f"{path} holds {count_of(len(names), 'file')} ({shown}), expected one: unpack it and "
            "name one"
        )
    try:
        return cast(io.BufferedIOBase, archive.open(names[0]))
    except DAMAGE as error:
        raise ValueError(f"{path} cannot be unpacked: {error}") from error


def _is_content(name: str) -> bool:
    """Whether a member is a file, and not one that macOS adds."""
    return not name.endswith("/") and not name.startswith("__MACOSX/")
