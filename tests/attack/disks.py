"""Disks that are small, folders that may not be written: with a mount where that is allowed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

_CAPABILITIES = 0x20080522  # version 3 of the kernel's struct
_OVERRIDE = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[bool]:
    """A file system of its own at `folder`; False where none can be made."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    made = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True)


def resize(folder: Path, kilobytes: int) -> None:
    """Give a small disk another size."""
    option = f"remount,size={kilobytes}k"
    subprocess.run(["mount", "-o", option, str(folder)], capture_output=True, check=True)


def limit_files(size: int) -> None:
    """No file of this process may grow beyond `size`: as on a full disk, writing fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def obey_permissions() -> None:
    """Let the permissions of files hold for this process, also if it is root's."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0)
    data = (ctypes.c_uint32 * 6)()
    if libc.capget(header, data):
        raise OSError(ctypes.get_errno(), "capget")
    for which in (0, 1, 2):  # effective, permitted, inheritable, of the first 32
        data[which] &= ~_OVERRIDE & 0xFFFFFFFF
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")
