"""The environments in which copies of the package built under sanitizers are imported.

As `make asan`: Python itself is not built with them, so their runtimes are preloaded (and C++'s,
which torch brings too late for them), its own allocator is switched off, as it would hide small
overruns, and leaks, which are Python's own, are not reported.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def _library(name: str) -> str:
    """Path of a library of the compiler's."""
    compiler = os.environ.get("ASAN_CC", "gcc")
    return subprocess.check_output([compiler, f"-print-file-name={name}"], text=True).strip()


def _import_path(folder: Path) -> str:
    if not (folder / "fastlstm").is_dir():
        raise FileNotFoundError(f"{folder} holds no package: make attack builds it")
    return os.pathsep.join([str(folder), str(Path(__file__).parents[1])])


def addresses(folder: Path) -> dict[str, str]:
    """Variables for processes that import the package in `folder`, with AddressSanitizer in it.

    Raises
    ------
    FileNotFoundError
        If it was not built.
    """
    libraries = ("libasan.so", "libubsan.so", "libstdc++.so")
    return {
        "PYTHONPATH": _import_path(folder),
        "LD_PRELOAD": " ".join(_library(name) for name in libraries),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }


def races(folder: Path) -> dict[str, str]:
    """The same with ThreadSanitizer in it. A race makes the exit status 66."""
    return {
        "PYTHONPATH": _import_path(folder),
        "LD_PRELOAD": _library("libtsan.so"),
        "TSAN_OPTIONS": "exitcode=66:report_signal_unsafe=0:atexit_sleep_ms=0",
    }
