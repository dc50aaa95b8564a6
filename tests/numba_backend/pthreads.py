"""Watch the threads that compiled code starts."""

from __future__ import annotations

import ctypes
import errno
from typing import Any

import llvmlite.binding as llvm

_CREATE = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)
_kept: list[Any] = []  # callbacks, for compiled code has their addresses alone


def watch(*, refuse: bool = False) -> list[int]:
    """Return a list that each start of a thread adds its result to.

    Code that is loaded already is not watched. Not beside a signal handler that raises: it would
    do so in here, where compiled code asks for a number.

    refuse : as a system that has no thread left.
    """
    results: list[int] = []
    create = _CREATE(("pthread_create", ctypes.CDLL(None)))

    def start(*arguments: Any) -> int:
        results.append(errno.EAGAIN if refuse else create(*arguments))
        return results[-1]

    callback = _CREATE(start)
    _kept.append(callback)
    llvm.add_symbol("pthread_create", ctypes.cast(callback, ctypes.c_void_p).value)
    return results
