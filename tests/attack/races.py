"""Races: the C harness under ThreadSanitizer, and sixteen threads of Python with and without it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import Any

from attack import sanitizer, watch
from attack.plan import ROOT, Plan
from attack.report import Figure

KINDS = ("harness", "stress", "stress-races")


def part(plan: Plan) -> Iterator[Figure]:
    """The harness, then the stress with the usual extension and with one that notices races."""
    chosen = plan.chosen(KINDS)
    if "harness" in chosen and not plan.quick:  # it is among the tests too
        yield _harness()
    if "stress" in chosen:
        what = "calls of 16 threads, the same bits"
        yield _stress(plan, f"stress: {what}", 100, [], watch.environment())
    if "stress-races" in chosen:
        env = watch.environment(sanitizer.races(plan.raced))
        # Where memory is mapped must not be drawn: ThreadSanitizer wants some of it for itself.
        still = [path, "-R"] if (path := shutil.which("setarch")) else []
        yield _stress(plan, "stress-races: the same under ThreadSanitizer", 10, still, env)


def _harness() -> Figure:
    """The tests of the C harness, built with ThreadSanitizer."""
    figure, before = Figure("races", "harness: C tests under ThreadSanitizer", 1), time.monotonic()
    only = "thread and not native and not address and not neon"
    words = ["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", only, "tests/c"]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=watch.environment(), capture_output=True, text=True
    )
    figure.seconds = time.monotonic() - before
    passed = re.search(r"(\d+) passed", done.stdout)
    figure.reached = int(passed[1]) if passed else 0
    if done.returncode:
        figure.fail(done.stdout[-2000:], f"pytest -k '{only}' tests/c")
    return figure


def _stress(plan: Plan, what: str, each: int, before: list[str], env: Mapping[str, str]) -> Figure:
    """Threads at work, of whom `each` calls a second of processor time are expected."""
    seconds = plan.counts["stress"]
    figure, start = Figure("races", what, each * seconds), time.monotonic()
    words = [sys.executable, "-m", "attack.stress", str(seconds), str(plan.seed)]
    again = f"make attack ARGS='--only races --kinds {what.split(':')[0]} --seed {plan.seed}'"
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [*before, *words],
                cwd=folder, env=dict(env), capture_output=True, text=True,
                timeout=60 + 30 * seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            figure.fail("hung", again)
            return figure
    figure.seconds = time.monotonic() - start
    found = _found(done.stdout)
    figure.reached = found.get("calls", 0)
    for wrong in found.get("wrong", ()):
        figure.fail(wrong, again)
    reports = re.findall(r"WARNING: ThreadSanitizer.*?SUMMARY[^\n]*", done.stderr, re.DOTALL)
    for report in reports:
        figure.fail(report.splitlines()[-1] + "\n" + report[:1500], again)
    if done.returncode and not figure.failures:
        figure.fail(f"exit status {done.returncode}: {done.stderr[-1500:]}", again)
    return figure


def _found(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        return {}
    return found
