"""Writing files whole or not at all: a written file is the old one or the new one, never half."""

from __future__ import annotations

import json
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
        with suppress(OSError):  # it may not be there: a read-only file system says so first
            temporary.unlink()
        if isinstance(error, OSError) and not _of_another(error, temporary):
            reason = f"cannot write {path} ({error.strerror}); files written earlier are intact"
            raise OSError(error.errno, reason) from error
        raise


def _of_another(error: OSError, temporary: Path) -> bool:
    """Whether the system did not raise it, or raised it for another file that was read meanwhile"""
    return error.errno is None or error.filename not in (None, str(temporary))


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file, then rename it to `path`; errors as of `replacing`."""
    with replacing(path) as file:
        file.write(data)


def write_json(path: Path, value: object) -> None:
    """Write `value` as readable JSON, as `write_file` does."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    write_file(path, (text + "\n").encode())


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
