"""What reading a damaged file may end in: a result, or an error that names the file."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Errors of those below that are none of ours: raised by a library and let through.
RAW = (json.JSONDecodeError, UnicodeError, tarfile.TarError, zipfile.BadZipFile)


def read(call: Callable[[], Any], path: Path) -> Any:
    """Read a damaged file: the result, or None after a clear error about it.

    `path` is the file, or the folder that it lies in; of a folder a file in it may be named.
    """
    try:
        return call()
    except Exception as error:
        _judge(error, path)
        return None


def _judge(error: Exception, path: Path) -> None:
    """Assert that an error is one of ours, about this file and in one line."""
    message = str(error)
    told = f"{type(error).__name__}: {message[:300]}"
    clear = isinstance(error, (ValueError, OSError)) and not isinstance(error, RAW)
    assert clear, f"no clear error: {told}"
    named = path.name in message or path.name in str(getattr(error, "filename", ""))
    assert named, f"error without the file's name: {told}"
    assert "\n" not in message, f"error of several lines: {told}"
