"""Which cases of a test's product of parameters are run.

Under `pytest.mark.pairs` a run without the slow tests has so many cases that each two values of
different parameters meet in one of them; the other cases are slow. With FASTLSTM_TEST_ONCE=1 each
value comes once, whatever it meets. Values that one `parametrize` gives together stay together.
"""

from __future__ import annotations

import os
import random
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations
from typing import Any
from zlib import crc32

import pytest

Parts = frozenset[Hashable]


def choose(cases: Sequence[Parts], name: str) -> set[int]:
    """Numbers of cases that have all parts which any case has: those first that have many new ones.

    Drawn by `name`, so that cases of equal worth are of all kinds, and the same in each process.
    """
    order = random.Random(crc32(name.encode())).sample(range(len(cases)), len(cases))
    chosen: set[int] = set()
    covered: set[Hashable] = set()
    for new in range(max(map(len, cases), default=0), 0, -1):
        for k in order:
            if k not in chosen and len(cases[k] - covered) >= new:
                chosen.add(k)
                covered |= cases[k]
    return chosen


def parts_of(item: pytest.Function, together: int) -> Parts:
    """So many values of a case `together`, in all ways, and those that were given as one."""
    values = {name: _value(name, value) for name, value in item.callspec.params.items()}
    given = [names_of(mark) for mark in item.iter_markers("parametrize")]
    ways: Iterable[Any] = combinations(values.values(), min(together, len(values)))
    return frozenset([*ways, *(tuple(values[name] for name in names) for names in given)])


def names_of(mark: pytest.Mark) -> list[str]:
    """The parameters of a `parametrize`, in the order of their names."""
    names = mark.args[0] if mark.args else mark.kwargs["argnames"]
    return sorted(names.replace(",", " ").split() if isinstance(names, str) else names)


def _value(name: str, value: Any) -> Hashable:
    """A parameter's value as what can be counted: 1, 1.0 and True are not the same."""
    try:
        hash(value)
    except TypeError:
        value = id(value)
    return name, type(value), value


def by_test(items: Iterable[pytest.Item]) -> dict[str, list[pytest.Function]]:
    """The cases of each test with parameters that are not slow, by its name."""
    tests: dict[str, list[pytest.Function]] = {}
    for item in items:
        if hasattr(item, "callspec") and not item.get_closest_marker("slow"):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return tests


def thin(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the cases slow that `pytest.mark.pairs` leaves out, and leave out those of a value that
    came before, if that is asked for."""
    for name, cases in by_test(items).items():
        if cases[0].get_closest_marker("pairs"):
            for case in left_out(cases, name, together=2):
                case.add_marker("slow")
    if os.environ.get("FASTLSTM_TEST_ONCE") == "1":
        tests = by_test(items).items()
        gone = {case for name, cases in tests for case in left_out(cases, name, together=1)}
        config.hook.pytest_deselected(items=[*gone])
        items[:] = [item for item in items if item not in gone]


def left_out(cases: list[pytest.Function], name: str, together: int) -> list[pytest.Function]:
    """The cases of a test that have no values together which others do not have."""
    chosen = choose([parts_of(case, together) for case in cases], name)
    return [case for k, case in enumerate(cases) if k not in chosen]
