"""Writing files whole or not at all, and the cache folder."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

# The names of the temporary files of `replacing`; the group is the name of the file.
TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file for writing; it becomes `path` when the block ends.

    If the block raises, the temporary file is removed and the file at `path` stays as it was.
    Raises OSError, which names `path`, if the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # see TEMPORARY
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not _of_another(error, temporary):
            reason = f"cannot write {path} ({error.strerror}); files written earlier are intact"
            raise OSError(error.errno, reason) from error
        raise


def _of_another(error: OSError, temporary: Path) -> bool:
    """Whether the system did not raise it, or raised it for another file that was read meanwhile"""
    return error.errno is None or error.filename not in (None, str(temporary))


def remove_temporary(folder: Path, names: Iterable[str], older: float = 0.0) -> None:
    """Remove temporary files of these names that a killed process left behind.

    With `older`, only those that nobody wrote to for so many seconds: others may be in use.
    """
    wanted = set(names)
    for path in folder.iterdir():
        found = TEMPORARY.fullmatch(path.name)
        if found and found[1] in wanted:
            with suppress(FileNotFoundError):  # another process removed it
                if not older or path.stat().st_mtime < time.time() - older:
                    path.unlink()


def cache_folder() -> Path:
    """Return the folder for downloads and encodings, which may not exist yet.

    It is ``FASTLSTM_CACHE`` of the environment, else the cache folder of the platform.
    """
    chosen = os.environ.get("FASTLSTM_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs

    return platformdirs.user_cache_path("fastlstm", appauthor=False)
