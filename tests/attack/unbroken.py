"""Runs that nothing happened to: what the others are compared with."""

from __future__ import annotations

import sys
import time
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from attack import small_run, whole
from attack.child import run

# Options of the runs; each is made once a process.
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"cell": "gru", "validation": 0.2, "batch_size": 8},
    {"cell": "rnn", "word_dropout": 0.2, "bigrams": 64, "epochs": 2},
    {"num_layers": 2, "dropout": 0.3, "average": 0},
    {"parts": "joined", "validation": 0.2, "epochs": 1},
    {"parts": "linear"},
)


class Unbroken(NamedTuple):
    """A run to its end.

    Attributes
    ----------
    data : what it was trained on.
    result : see `whole.result`.
    seconds : that it took.
    writes : how often it changed the file system, see `writing`.
    largest : bytes of its largest file.
    """

    data: Path
    result: dict[str, Any]
    seconds: float
    writes: int
    largest: int


def writing(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an audit event of Python is about to change the file system."""
    if event == "open":
        return isinstance(arguments[1], str) and any(c in arguments[1] for c in "wxa+")
    return event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")


@cache
def unbroken(folder: Path, variant: int) -> Unbroken:
    """Make a run, once a process."""
    data, out = small_run.write_texts(folder / "texts.csv"), folder / f"unbroken-{variant}"
    counted, seen = folder / f"writes-{variant}", [0]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        seen[0] += writing(event, arguments)

    before = time.monotonic()
    status, told = run(
        small_run.command(data, out, **VARIANTS[variant]),
        folder / "log",
        lambda: sys.addaudithook(hook),
        lambda: counted.write_text(str(seen[0])),
    )
    assert status == 0, f"the unbroken run failed: {told}"
    largest = max(path.stat().st_size for path in out.iterdir())
    return Unbroken(
        data, whole.result(out), time.monotonic() - before, int(counted.read_text()), largest
    )
