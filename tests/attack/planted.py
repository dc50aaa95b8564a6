"""Cases that go wrong on purpose: what shows that the attack notices it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

FAULT = "ATTACK_PLANTED"  # environment variable: which, in the case of this number
AT = 3


def case(rng: np.random.Generator, folder: Path) -> None:
    """Draw a number, and in every fourth process' case do what is planted."""
    case.count += 1  # type: ignore[attr-defined]
    if case.count != AT:  # type: ignore[attr-defined]
        return
    fault = os.environ.get(FAULT, "")
    if fault == "crash":
        os.abort()
    if fault == "hang":
        time.sleep(3600)
    if fault == "busy":
        end = time.process_time() + 1.0
        while time.process_time() < end:
            pass
    if fault == "wrong":
        raise AssertionError("y: error 1 of its scale")
    if fault == "exit":
        os._exit(0)


case.count = 0  # type: ignore[attr-defined]
