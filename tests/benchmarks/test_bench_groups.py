"""`pytest benchmarks`: the groups of `shapes.toml` as markers, and which run without one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks import machine
from benchmarks.conftest import DEFAULT_GROUPS
from benchmarks.shapes import GROUPS, select

pytest.importorskip("torch")
pytest.importorskip("pytest_benchmark")


def collected(*options: str) -> list[str]:
    """Return the benchmarks that would run on one thread."""
    command = [sys.executable, "-m", "pytest", "benchmarks", "--collect-only", "-q"]
    command += ["-p", "no:cacheprovider", "--bench-threads", "1", *options]
    own = {name: value for name, value in os.environ.items() if "PYTEST" not in name}  # of xdist
    done = subprocess.run(command, cwd=machine.ROOT, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("benchmarks/test_")]


@pytest.mark.parametrize(
    ("options", "groups"),
    [((), ("quick", "ops")), (("-m", "cells or readme"), ("cells", "readme"))],
    ids=["default", "chosen"],
)
def test_groups(options: tuple[str, ...], groups: tuple[str, ...]) -> None:
    found, cases = collected(*options), select(groups)
    assert len(found) == 2 * len(cases)
    for case in cases:
        for side in ("fastlstm", "torch"):
            assert sum(f"[{side}-threads=1-{case}]" in line for line in found) == 1


def test_the_default_takes_less_than_five_minutes() -> None:
    """Each side of a case on one thread and on all: a second timed, and as much around it."""
    assert len(select(DEFAULT_GROUPS)) * 2 * 2 * 2 < 300


def test_every_case_can_be_chosen() -> None:
    assert len(collected("-m", " or ".join(GROUPS))) == 2 * len(select(GROUPS))
