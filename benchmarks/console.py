"""What `pytest benchmarks` shows at its end: a table for each kind of case, a line for a case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.report import KINDS, three_digits
from benchmarks.shapes import Case

OTHERS = "layers and losses, one call"
TITLES = "threads", "fastlstm ms", "torch ms", "times faster"


class Timed(NamedTuple):
    """The median time of one side of a case, in seconds."""

    case: Case
    threads: int
    side: str
    seconds: float


def tables(timed: Iterable[Timed]) -> list[str]:
    """Return the lines of all tables, in the order of the first case of each."""
    pairs: dict[tuple[Case, int], dict[str, float]] = {}
    for one in timed:
        pairs.setdefault((one.case, one.threads), {})[one.side] = one.seconds
    kinds: dict[str, list[tuple[str, ...]]] = {}
    for (case, threads), found in pairs.items():
        kind, name = KINDS.get(case.mode, OTHERS), str(case)
        if case.mode in KINDS:
            name = name.removeprefix(f"{case.mode} ")
        kinds.setdefault(kind, []).append((name, str(threads), *_figures(found)))
    lines = []
    for kind, rows in kinds.items():
        lines += ["", *_aligned([(kind, *TITLES), *rows])]
    return lines


def _figures(found: dict[str, float]) -> tuple[str, str, str]:
    fast, other = found.get("fastlstm"), found.get("torch")
    times = [three_digits(1e3 * t) if t else "-" for t in (fast, other)]
    return times[0], times[1], f"{other / fast:.2f}" if fast and other else "-"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """The first column to the left, the others to the right; a line under the titles."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [cells[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        )
        for cells in rows
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
