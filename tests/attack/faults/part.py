"""The part of the attack that plants faults: those of the test suite itself, then those here."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attack import watch
from attack.faults.chain import CHAIN
from attack.faults.extension import EXTENSION
from attack.faults.fault import Fault
from attack.faults.files import FILES
from attack.faults.kernels import KERNELS
from attack.faults.linear import LINEAR
from attack.faults.plant import Copy
from attack.faults.precision import PRECISION
from attack.faults.runs import RUNS
from attack.faults.tagging import TAGGING
from attack.faults.training import TRAINING
from attack.faults.turns import TURNS
from attack.plan import ROOT, Plan
from attack.report import Figure

ALL: dict[str, Sequence[Fault]] = {
    "training": TRAINING, "files": FILES, "kernels": KERNELS, "precision": PRECISION,
    "extension": EXTENSION, "chain": CHAIN, "linear": LINEAR, "runs": RUNS,
    "tagging": TAGGING, "turns": TURNS,
}  # fmt: skip


def part(plan: Plan) -> Iterator[Figure]:
    """Faults in kernels written in Python, which the suite knows, and in the sources."""
    chosen = plan.chosen(("training", "files") if plan.quick else ("mutants", *ALL))
    if "mutants" in chosen:
        yield _mutants()
    for name in chosen:
        if name in ALL:
            yield _planted(plan, name, _some(plan, ALL[name]))


def _some(plan: Plan, faults: Sequence[Fault]) -> Sequence[Fault]:
    """All of them, or the few that a quick attack takes: other ones for another seed."""
    count = plan.counts["faults"]
    if count >= len(faults):
        return faults
    return [faults[(plan.seed + k) % len(faults)] for k in range(count)]


def _mutants() -> Figure:
    """The kernels with faults of tests/faults*.py: each is found by the checks that it names."""
    import faults_of_contracts  # noqa: F401  (adds its faults to MUTANTS)
    from faults import MUTANTS

    figure = Figure("faults", "mutants: kernels in Python", len(MUTANTS))
    before = time.monotonic()
    words = ["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/test_mutants.py"]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=watch.environment(), capture_output=True, text=True
    )
    figure.seconds, figure.reached = time.monotonic() - before, len(MUTANTS)
    if done.returncode or not re.search(r"\d+ passed", done.stdout):
        figure.fail(done.stdout[-2000:], "pytest tests/test_mutants.py")
    return figure


def _planted(plan: Plan, name: str, faults: Sequence[Fault]) -> Figure:
    figure = Figure("faults", f"{name}: planted in sources", len(faults))
    before, local = time.monotonic(), threading.local()
    with tempfile.TemporaryDirectory(prefix="attack-faults-") as folder:

        def attempt(number: int) -> str:
            if plan.late:
                return ""
            if not hasattr(local, "copy"):  # one for each process at a time
                local.copy = Copy(Path(tempfile.mkdtemp(dir=folder)))
            figure.reached += 1
            return str(local.copy.attempt(faults[number]))

        with ThreadPoolExecutor(plan.jobs) as pool:
            results = list(pool.map(attempt, range(len(faults))))
        sound = ""
        if not plan.quick:
            sound = Copy(Path(tempfile.mkdtemp(dir=folder))).control(faults)
    if sound:
        figure.fail(sound, f"make attack ARGS='--only faults --kinds {name}'")
    for fault, wrong in zip(faults, results, strict=True):
        if wrong:
            figure.fail(wrong, f"make attack ARGS='--only faults --kinds {name}'  # {fault.file}")
    figure.seconds = time.monotonic() - before
    return figure
