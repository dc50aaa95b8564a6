"""What a part of the attack has found, and the table of all of them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Failure:
    """A thing that should not have happened, and the command that makes it happen again."""

    what: str
    again: str

    @property
    def kind(self) -> str:
        """Its first line without numbers: what failures of one cause share."""
        first = next(iter(self.what.strip().splitlines()), "")
        return re.sub(r"0x[0-9a-f]+|\d+", "#", first)[:160]


@dataclass
class Figure:
    """A row of the table: how many were asked for, how many were made, what failed."""

    part: str
    what: str
    goal: int
    reached: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.failures and self.reached >= self.goal

    def fail(self, what: str, again: str) -> None:
        self.failures.append(Failure(what, again))

    def told(self) -> list[str]:
        """Its failures, one of each kind with how many there are."""
        kinds: dict[str, list[Failure]] = {}
        for failure in self.failures:
            kinds.setdefault(failure.kind, []).append(failure)
        lines = []
        for same in kinds.values():
            lines.append(f"{self.part}: {same[0].what.strip()}")
            lines.append(f"  {len(same)} of this kind; again: {same[0].again}")
        return lines


def table(figures: list[Figure]) -> str:
    """The figures as a table in Markdown."""
    lines = ["| part | what | at least | made | failed | seconds |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {f.part} | {f.what} | {f.goal:,} | {f.reached:,} | {len(f.failures):,} "
        f"| {f.seconds:.0f} |"
        for f in figures
    ]
    return "\n".join(lines)


def write(path: Path, seed: int, figures: list[Figure]) -> None:
    """Write the figures as JSON."""
    value = {"seed": seed, "figures": [asdict(f) | {"passed": f.passed} for f in figures]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
