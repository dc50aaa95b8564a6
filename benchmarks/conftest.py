"""What `pytest benchmarks` runs: each group of `shapes.toml` is a marker, and without ``-m`` it is
`DEFAULT_GROUPS`, some minutes. Each benchmark takes `layer_case` or `op_case`, `threads` and
`side`, and the function `bench` that checks and times them.

At the end stands a table for each kind of case, `console`. pytest-benchmark's own, one for each
case, come with ``--benchmark-verbose`` or where earlier runs are compared with."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from benchmarks.check import Difference, check
from benchmarks.console import Timed, tables
from benchmarks.machine import cores
from benchmarks.problem import draw, real_steps
from benchmarks.shapes import GROUPS, LAYER_MODES, Case, load
from benchmarks.sides import build

DEFAULT_GROUPS = ("quick", "ops")
COLUMNS = ["median", "iqr", "min", "max", "rounds"]  # of the table
# After a call torch's OpenMP workers spin for some milliseconds and slow whatever runs next.
SETTLE_SECONDS = 0.1

Bench = Callable[[Case, int, str], None]
TIMED = pytest.StashKey[list[Timed]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bench-threads",
        default=",".join(map(str, sorted({1, cores()}))),
        help="numbers of threads, default 1 and all cores",
    )


def pytest_configure(config: pytest.Config) -> None:
    for group in GROUPS:
        config.addinivalue_line("markers", f"{group}: benchmarks of the group in shapes.toml")
    if getattr(config.option, "benchmark_columns", COLUMNS) is None:
        config.option.benchmark_columns = COLUMNS
        if not getattr(config.option, "benchmark_compare", True):
            config.option.benchmark_quiet = True
    config.stash[TIMED] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in tables(config.stash[TIMED]):
        terminalreporter.write_line(line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = next((n for n in ("layer_case", "op_case") if n in metafunc.fixturenames), None)
    if name is None:
        return
    text = metafunc.config.getoption("--bench-threads")
    try:
        threads = [int(number) for number in text.split(",")]
    except ValueError as error:
        raise pytest.UsageError(f"--bench-threads: {error}") from error
    wanted = [
        pytest.param(case, marks=[getattr(pytest.mark, group) for group in groups], id=str(case))
        for case, groups in load()
        if (case.mode in LAYER_MODES) == (name == "layer_case")
    ]
    metafunc.parametrize("side", ("fastlstm", "torch"))
    metafunc.parametrize("threads", threads, ids=lambda n: f"threads={n}")
    metafunc.parametrize(name, wanted)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in `DEFAULT_GROUPS`, unless ``-m`` says what is wanted."""
    if config.option.markexpr:
        return
    cases = [item for item in items if {mark.name for mark in item.iter_markers()} & set(GROUPS)]
    left_out = {item for item in cases if not any(map(item.get_closest_marker, DEFAULT_GROUPS))}
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def bench(benchmark: Any, pytestconfig: pytest.Config) -> Bench:
    """A function that checks a case, then times one side of it."""

    def run(case: Case, threads: int, side: str) -> None:
        benchmark.group, benchmark.name = f"{case}, threads: {threads}", side
        outputs, gradients = _checked(case, threads)
        arrays = draw(case)
        call = build(side, case, threads, arrays).call
        time.sleep(SETTLE_SECONDS)
        benchmark(call)
        benchmark.extra_info.update(
            side=side, threads=threads, output_difference=outputs, gradient_difference=gradients
        )
        if benchmark.stats is None:  # switched off
            return
        median = benchmark.stats.stats.median
        pytestconfig.stash[TIMED].append(Timed(case, threads, side, median))
        if flops := case.flops(real_steps(case, arrays)):
            benchmark.extra_info["gflops"] = flops / median / 1e9

    return run


@cache
def _checked(case: Case, threads: int) -> Difference:
    """Compare the sides, once for both; the benchmark fails if they differ."""
    return check(case, threads)
