"""Paths as users name them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

SHOWN = 200  # letters of a name in an error


def named_path(path: str | os.PathLike[str], name: str = "path") -> Path:
    """Return a path with the home folder in place of ``~``, which a shell leaves in ``--out=~/x``.

    A name that begins with ``~`` and tells no home stays as it is. Taken again, the result stays.

    Parameters
    ----------
    path : what the user gave.
    name : of the argument, for errors.

    Raises
    ------
    TypeError
        If it is neither a str nor a path object of one.
    ValueError
        If nothing can have this name.
    """
    text = _text(path, name)
    found = Path(os.path.expanduser(text))
    if str(found).startswith("~") and not text.startswith("~"):
        return absolute_path(found, name)  # of ./~ it makes ~
    return found


def absolute_path(path: Path, name: str = "path") -> Path:
    """Return a path that holds in any folder.

    Raises FileNotFoundError for a relative one if the folder of the process is gone; `name` is that
    of the argument.
    """
    try:
        return Path(os.path.abspath(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            error.errno,
            f"{name} is {str(path)!r:.{SHOWN}}, in the folder of this process, which is gone: name "
            "an absolute path",
        ) from None


def _text(path: Any, name: str) -> str:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise TypeError(f"{name} is a {type(text).__name__}, expected a str or a Path")
    if not text:
        raise ValueError(f"{name} is '', expected the name of a file or folder")
    told = f"{name} is {text!r:.{SHOWN}}, expected a name that a file can have"
    if "\0" in text:
        raise ValueError(f"{told}: it has a zero byte")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise ValueError(f"{told}: the system cannot encode it") from error
    return text
