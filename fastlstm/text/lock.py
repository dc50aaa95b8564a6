"""A lock between threads and processes that ends with its holder, however that ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .opening import open_file

PAUSE_SECONDS = 0.1  # between two tries
HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
"""What `lock_file` fails with where another holds the lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until nobody else holds the lock named by the file `path`, and hold it.

    The system gives up the lock of a process that dies. The file is removed in the end; one that
    was left behind is no hindrance. On a file system without locks nothing is held.

    Raises
    ------
    OSError
        If the file cannot be made.
    """
    while True:
        with open_file(path, "ab") as file:
            if _take(file.fileno()) and is_at(path, file.fileno()):
                try:
                    yield
                finally:
                    with suppress(OSError):  # Windows keeps open files
                        path.unlink()
                return
        time.sleep(PAUSE_SECONDS)


def is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is still the one at `path`: who held the lock before has removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _take(descriptor: int) -> bool:
    try:
        lock_file(descriptor)
    except OSError as error:
        return error.errno not in HELD  # there are no locks: to go on beats to wait forever
    return True


if sys.platform == "win32":
    import msvcrt

    FAR = 1 << 30  # what is locked there cannot be read by others

    def lock_file(descriptor: int) -> None:
        """Lock an open file, or raise OSError at once."""
        os.lseek(descriptor, FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def lock_file(descriptor: int) -> None:
        """Lock an open file, or raise OSError at once."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
