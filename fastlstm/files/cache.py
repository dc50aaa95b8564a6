"""Where downloads are kept, and what can be made again."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from fastlstm.files.naming import absolute_path, named_path


def cache_folder() -> Path:
    """Return the folder for downloads, encodings and compiled code, which may not exist yet.

    It is ``FASTLSTM_CACHE`` of the environment, else the cache folder of the platform. A relative
    one is taken from the folder that the process was in when it first asked, and stays there.
    Raises OSError if there is none, as for a user without a home folder.
    """
    chosen = os.environ.get("FASTLSTM_CACHE")
    if chosen:
        return settled(named_path(chosen), "FASTLSTM_CACHE")
    import platformdirs

    try:
        folder = platformdirs.user_cache_path("fastlstm", appauthor=False)
    except RuntimeError:  # earlier versions return a folder of this name, in that of the process
        folder = Path("~")
    if folder.parts[0] == "~":
        raise OSError(
            "there is no home folder to keep a cache in: set FASTLSTM_CACHE to a folder, or HOME"
        )
    return settled(folder, "the cache folder")


def make_room(path: Path) -> None:
    """Remove what is in the place of a file in our own folder: a pipe, say, but no folder."""
    if not path.is_file():
        with suppress(OSError):  # mostly there is nothing
            path.unlink()


def settled(folder: Path, name: str) -> Path:
    """Return an absolute path of the folder that `name` is set to, the same in all calls.

    A process that goes to another folder meanwhile would else look for its files in two places.
    Raises OSError for a relative path in a folder that is gone.
    """
    return folder if folder.is_absolute() else _settled(folder, name)


@cache
def _settled(folder: Path, name: str) -> Path:
    return absolute_path(folder, name)
