"""A lock on a folder, so that one process writes there at a time.

It is the operating system's lock on a file in the folder, so it ends with its process, however
that ends. On a network file system it is as good as that system's locks. If there are none, a
warning says so and work goes on.
"""

from __future__ import annotations

import os
import platform
import threading
import warnings
from contextlib import suppress
from pathlib import Path

from fastlstm.files.lock import HELD, is_at, lock_file
from fastlstm.notices import UnlockedWarning

NAME = ".fastlstm.lock"
FIRST_TRIES = 100  # each fails only if another process removes folder or file meanwhile


class FolderInUseError(OSError):
    """Another process or thread writes in the folder."""


class FolderLock:
    """The right to write in a folder, for a ``with`` block. The folder is made if it is missing.

    The thread that has the lock may enter again. A child forked inside the block does not have it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / NAME
        self._file: int | None = None
        self._thread = self._depth = 0

    def __enter__(self) -> FolderLock:
        if self._file is None or self._thread != threading.get_ident():
            try:
                self._file = self._take()
            except FolderInUseError:
                raise
            except OSError as error:
                reason = error.strerror or error
                raise OSError(
                    error.errno,
                    f"cannot write {self._path} ({reason}): see to it that files can be made "
                    "there, or give another folder=",
                ) from error
            self._thread = threading.get_ident()
            _held.add(self)
        self._depth += 1
        return self

    def __exit__(self, *ignored: object) -> None:
        if self._file is None:  # in a forked child
            return
        self._depth -= 1
        if self._depth == 0:
            with suppress(OSError):  # the folder may be gone
                self._path.unlink()
            self.forget()
            _held.discard(self)

    def forget(self) -> None:
        """Close the file. This frees the lock if no other process has the file open."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
        self._file, self._depth = None, 0

    def _take(self) -> int:
        """Return the open, locked file; errors as of `OutputFolder.locked`."""
        for _ in range(FIRST_TRIES):
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0))
            except FileNotFoundError:
                continue
            try:
                self._lock(file)
                if is_at(self._path, file):
                    self._sign(file)
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)  # its last owner removed it meanwhile
        raise FileNotFoundError(f"{self._folder} does not stay: something removes it")

    def _sign(self, file: int) -> None:
        """Write who has the lock; if that fails, as on a full disk, nothing is left."""
        try:
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()} {platform.node()}".encode())
        except BaseException:
            with suppress(OSError):
                self._path.unlink()
            raise

    def _lock(self, file: int) -> None:
        try:
            lock_file(file)
        except OSError as error:
            if error.errno in HELD:
                raise FolderInUseError(
                    f"{self._folder} is in use: {_owner(file)} writes there; wait until it has "
                    "ended, or choose another folder"
                ) from error
            warnings.warn(
                f"{self._folder} cannot be locked ({error.strerror}): see to it that nothing else "
                "writes there",
                UnlockedWarning,
                stacklevel=4,
            )


def _owner(file: int) -> str:
    pid, _, host = os.read(file, 300).decode("utf-8", "replace").partition(" ")
    if not pid.isdigit():
        return "another process"
    return f"process {pid}" + (f" on {host}" if host != platform.node() else "")


_held: set[FolderLock] = set()


def _drop_in_child() -> None:
    """Close the files inherited from the parent: an open one would keep its lock."""
    for lock in _held:
        lock.forget()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_in_child)
