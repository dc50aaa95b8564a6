"""A lock between threads and processes, which the system frees when its holder dies."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fastlstm.files.opening import open_file

PAUSE_SECONDS = 0.1  # between two tries
# The errors of `lock_file` when another process has the lock.
HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock of the file `path`, hold it inside the block, then remove the file.

    A file that was left behind does no harm. A file system without locks is used without one.
    Raises OSError if the file cannot be made.
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
    """Whether an open file is still at `path`; the last holder of the lock removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _take(descriptor: int) -> bool:
    try:
        lock_file(descriptor)
    except OSError as error:
        return error.errno not in HELD  # without locks, go on
    return True


if sys.platform == "win32":
    import msvcrt

    FAR = 1 << 30  # Windows lets nobody read locked bytes: lock one behind the content

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
