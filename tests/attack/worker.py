"""A process that runs cases one after another: ``python -m attack.worker FAMILY SEED FIRST LAST``.

Where it stands is in the file named by ATTACK_PLACE, which its parent reads also after a crash;
what failed goes to its standard output as a line of JSON for each case.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import mmap
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attack.families import FAMILIES, Family

Case = Callable[[np.random.Generator, Path], None]


def load(family: Family) -> Case:
    """Return the function that makes a case of a family."""
    module, _, name = family.case.partition(":")
    case: Case = getattr(importlib.import_module(module), name)
    return case


def generator(family: str, seed: int, number: int) -> np.random.Generator:
    """What a case is drawn from: its family, the seed of the attack and its number."""
    return np.random.default_rng([zlib.crc32(family.encode()), seed, number])


def run_case(family: Family, case: Case, seed: int, number: int, folder: Path) -> str | None:
    """Run a case; return what is wrong, or None."""
    before = time.process_time()
    try:
        case(generator(family.name, seed, number), folder)
    except Exception as error:
        trace = "".join(traceback.format_exception(error)[-6:])
        first = next(iter(str(error).splitlines()), "")[:300]
        return f"{type(error).__name__}: {first}\n{trace}"
    used = time.process_time() - before
    if used > family.cpu_seconds:
        return f"took more than {family.cpu_seconds} seconds of processor time\n{used:.1f}"
    return None


def limit_memory(megabytes: int) -> None:
    """Let the process grow by so much at most; an allocation beyond fails."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(arguments: list[str]) -> int:
    family = FAMILIES[arguments[0]]
    seed, first, last = map(int, arguments[1:])
    if not family.sanitized:  # whose own words say more
        faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="attack-"))
    place: Any = bytearray(8)
    if path := os.environ.get("ATTACK_PLACE"):
        with open(path, "r+b") as file:
            place = mmap.mmap(file.fileno(), 8)
    case = load(family)
    if family.megabytes:
        limit_memory(family.megabytes)
    failed = 0
    for number in range(first, last):
        place[:8] = struct.pack("q", number)
        what = run_case(family, case, seed, number, folder)
        if what is not None:
            failed += 1
            print(json.dumps({"case": number, "what": what}), flush=True)
    place[:8] = struct.pack("q", last)
    shutil.rmtree(folder, ignore_errors=True)
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
