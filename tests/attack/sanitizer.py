"""The environment in which the package built under AddressSanitizer and UBSan is imported.

As `make asan`: Python itself is not built with them, so their runtimes are preloaded (and C++'s,
which torch brings too late for them), its own allocator is switched off, as it would hide small
overruns, and leaks, which are Python's own, are not reported.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

LIBRARIES = ("libasan.so", "libubsan.so", "libstdc++.so")


def environment(folder: Path) -> dict[str, str]:
    """Variables for workers that import the package in `folder`.

    Raises
    ------
    FileNotFoundError
        If it was not built.
    """
    if not (folder / "fastlstm").is_dir():
        raise FileNotFoundError(f"{folder} holds no package: make attack builds it")
    compiler = os.environ.get("ASAN_CC", "gcc")
    found = [
        subprocess.check_output([compiler, f"-print-file-name={name}"], text=True).strip()
        for name in LIBRARIES
    ]
    tests = str(Path(__file__).parents[1])
    return {
        "PYTHONPATH": os.pathsep.join([str(folder), tests]),
        "LD_PRELOAD": " ".join(found),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
