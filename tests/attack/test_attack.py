"""The machinery of the attack notices what it is there for."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from attack import watch
from attack.families import FAMILIES
from attack.planted import AT, FAULT
from attack.report import Figure, table

COUNT = 6


def attacked(fault: str) -> Figure:
    figure = Figure("planted", fault, COUNT)
    env = {**watch.environment(), FAULT: fault}
    family = FAMILIES["planted"]
    if fault != "hang":  # what is only slow, as a machine that stands still, is none
        family = family._replace(silent_seconds=600.0)
    watch.run(figure, family, 7, COUNT, 1, env)
    return figure


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("crash", "crashed with signal 6"),
        ("exit", "crashed with exit status 0"),
        pytest.param("hang", "hung", marks=pytest.mark.slow),  # it is waited for
        ("wrong", "AssertionError: y: error 1 of its scale"),
        ("busy", "took more than 0.5 seconds"),
    ],
)
def test_a_planted_fault_is_noticed_and_the_rest_goes_on(fault: str, told: str) -> None:
    figure = attacked(fault)
    assert figure.reached == COUNT
    assert not figure.passed
    first = figure.failures[0]
    assert first.what.startswith(told)
    assert f"planted:7:{AT - 1}'" in first.again


def test_nothing_planted_nothing_noticed() -> None:
    figure = attacked("")
    assert figure.passed
    assert figure.told() == []
    assert f"| planted |  | {COUNT} | {COUNT} | 0 |" in table([figure])


def test_fewer_than_asked_for_is_a_failure() -> None:
    figure = Figure("planted", "", COUNT)
    watch.run(figure, FAMILIES["planted"], 7, COUNT, 1, watch.environment(), deadline=0)
    assert figure.reached == 0
    assert not figure.passed


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="needs Linux to tell")
def test_waiting_for_the_processor_is_told_from_hanging() -> None:
    code = "import os\nos.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\nwhile True: pass"
    spinning = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    asleep = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(6000)"])

    def await_starving() -> None:
        """Wait until those that share a core have waited for it half a second more."""
        before = sum(watch.starved(process.pid) for process in spinning)
        while sum(watch.starved(process.pid) for process in spinning) < before + 0.5:
            time.sleep(0.05)

    try:
        await_starving()
        while True:
            before = watch.starved(asleep.pid)
            await_starving()
            if watch.starved(asleep.pid) == before:  # it has started, and sleeps
                break
        assert asleep.poll() is None
    finally:
        for process in (*spinning, asleep):
            process.kill()
            process.wait()
