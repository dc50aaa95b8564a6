"""How much of each part is asked for: in full, or quickly as a check that all of it still works."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What a full attack must reach, and what the quick one does.
FULL = {
    "fuzz": 100_000,  # native and torch each
    "graphs": 20_000,
    "files": 20_000,  # of each kind
    "kills": 200,
    "trouble": 20,  # of each kind
    "stress": 60,  # seconds of processor time
    "shapes": 30_000,
    "models": 10_000,
    "steps": 1_000_000,
    "faults": 60,  # in all
}
QUICK = {
    "fuzz": 1_000, "graphs": 100, "files": 200, "kills": 6, "trouble": 1, "stress": 5,
    "shapes": 1_000, "models": 500, "steps": 50_000, "faults": 1,
}  # fmt: skip


@dataclass
class Plan:
    """What one attack is asked for.

    Attributes
    ----------
    seed : all cases are drawn from it and from their numbers.
    jobs : processes at a time.
    counts : see `FULL`.
    deadline : of `time.monotonic`; nothing new is begun after it.
    quick : a check that all of it still works, and no more.
    kinds : of a part that has several, those wanted; empty for all.
    sanitized, raced : folders with the package built under AddressSanitizer and UBSan, and under
        ThreadSanitizer.
    """

    seed: int
    jobs: int
    counts: dict[str, int]
    deadline: float
    quick: bool = False
    kinds: tuple[str, ...] = ()
    sanitized: Path = ROOT / "build" / "asan"
    raced: Path = ROOT / "build" / "tsan"
    started: float = field(default_factory=time.monotonic)

    def chosen(self, kinds: tuple[str, ...]) -> list[str]:
        """Those of the kinds of a part that are wanted."""
        return [kind for kind in kinds if not self.kinds or kind in self.kinds]

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline
