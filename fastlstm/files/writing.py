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

from fastlstm.files.opening import check_file, open_file

# The names of the temporary files of `replacing`; the group is the name of the file, or begins it.
TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")
LONGEST = 255 - len("..12345678.tmp")  # bytes of that group: file systems end at 255


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file for writing; it becomes `path` when the block ends.

    A file that is there is replaced as if it were written to: a link to it stays, and so do its
    owner and permissions, as far as the system lets us. If the block raises, the temporary file is
    removed and the file at `path` stays as it was. Raises OSError, which names `path`, if the disk
    is full, the folder or the file there cannot be written, or is no regular file.
    """
    path = Path(path)
    place, earlier = _place(path)
    temporary = place.with_name(f".{_cut(place.name)}.{secrets.token_hex(4)}.tmp")  # see TEMPORARY
    try:
        with open(temporary, "xb") as file:
            if earlier is not None:
                _own_alike(temporary, earlier)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except BaseException as error:
        with suppress(OSError):  # it may not be there: a read-only file system says so first
            temporary.unlink()
        if isinstance(error, OSError) and not _of_another(error, temporary):
            raise _unwritten(path, place, error) from error
        raise


def _place(path: Path) -> tuple[Path, os.stat_result | None]:
    """Return where the file is that a path leads to by links, and what the system tells of it.

    That is None if it is not there. The system follows the links first: it knows which of those
    that others have made are not to be trusted.
    """
    earlier = None
    try:
        check_file(path)
        with open_file(path, "r+b") as file:  # a read-only one is not to be replaced either
            earlier = os.fstat(file.fileno())
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno is None:  # it says all
            raise
        raise _unwritten(path, path, error) from error
    return Path(os.path.realpath(path)) if path.is_symlink() else path, earlier


def _own_alike(path: Path, earlier: os.stat_result) -> None:
    """Give a file the owner and the permissions of an earlier one, as far as we may."""
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root gives files away
            os.chown(path, earlier.st_uid, earlier.st_gid)
    with suppress(OSError):  # of file systems without permissions
        os.chmod(path, earlier.st_mode & 0o777)


def _cut(name: str) -> str:
    """Return as much of a name as leaves room for the rest of a temporary one."""
    while len(os.fsencode(name)) > LONGEST:
        name = name[:-1]
    return name


def _unwritten(path: Path, place: Path, error: OSError) -> OSError:
    """Return an error that says why nothing was written at `path`, which leads to `place`."""
    reason = error.strerror
    if isinstance(error, FileNotFoundError) and not place.parent.is_dir():
        reason = f"there is no folder {place.parent}"
    told = f"cannot write {path} ({reason}); files written earlier are intact"
    return OSError(error.errno, told)


def _of_another(error: OSError, temporary: Path) -> bool:
    """Whether the system did not raise it, or raised it for another file that was read meanwhile"""
    return error.errno is None or error.filename not in (None, str(temporary))


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file, then rename it to `path`; errors as of `replacing`."""
    with replacing(path) as file:
        file.write(data)


def write_json(path: Path, value: object) -> None:
    """Write `value` as readable JSON, as `write_file` does.

    What has no letter in UTF-8, as names of files may have, is written as an escape of JSON.
    """
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    write_file(path, (text + "\n").encode(errors="backslashreplace"))


def remove_temporary(folder: Path, names: Iterable[str], older: float = 0.0) -> None:
    """Remove temporary files of these names that a killed process left behind.

    With `older`, only those that nobody wrote to for so many seconds: others may be in use.
    """
    wanted = set(map(_cut, names))
    for path in folder.iterdir():
        found = TEMPORARY.fullmatch(path.name)
        if found and found[1] in wanted:
            with suppress(FileNotFoundError):  # another process removed it
                if not older or path.stat().st_mtime < time.time() - older:
                    path.unlink()
