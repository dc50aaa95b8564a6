"""Options of `pytest benchmarks`, and what each benchmark takes: `layer_case` or `op_case`,
`threads` and `side`, and the function `bench` that checks and times them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from benchmarks.check import Difference, check
from benchmarks.machine import cores
from benchmarks.problem import draw, real_steps
from benchmarks.shapes import GROUPS, LAYER_MODES, Case, select
from benchmarks.sides import build

DEFAULT_GROUPS = "standard,deepbench,ops"
# After a call torch's OpenMP workers spin for some milliseconds and slow whatever runs next.
SETTLE_SECONDS = 0.1

Bench = Callable[[Case, int, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bench-group", default=DEFAULT_GROUPS, help=f"groups of shapes.toml: {', '.join(GROUPS)}"
    )
    parser.addoption(
        "--bench-threads",
        default=",".join(map(str, sorted({1, cores()}))),
        help="numbers of threads, default 1 and all cores",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = next((n for n in ("layer_case", "op_case") if n in metafunc.fixturenames), None)
    if name is None:
        return
    config = metafunc.config
    try:
        cases = select(config.getoption("--bench-group").split(","))
        threads = [int(text) for text in config.getoption("--bench-threads").split(",")]
    except ValueError as error:
        raise pytest.UsageError(f"--bench-group or --bench-threads: {error}") from error
    wanted = [case for case in cases if (case.mode in LAYER_MODES) == (name == "layer_case")]
    metafunc.parametrize("side", ("fastlstm", "torch"))
    metafunc.parametrize("threads", threads, ids=lambda n: f"threads={n}")
    metafunc.parametrize(name, wanted, ids=str)


@pytest.fixture
def bench(benchmark: Any) -> Bench:
    """A function that checks a case, then times one side of it."""

    def run(case: Case, threads: int, side: str) -> None:
        benchmark.group = f"{case} threads={threads}"
        outputs, gradients = _checked(case, threads)
        arrays = draw(case)
        call = build(side, case, threads, arrays).call
        time.sleep(SETTLE_SECONDS)
        benchmark(call)
        benchmark.extra_info.update(
            side=side, threads=threads, output_difference=outputs, gradient_difference=gradients
        )
        flops = case.flops(real_steps(case, arrays))
        if flops and benchmark.stats is not None:
            benchmark.extra_info["gflops"] = flops / benchmark.stats.stats.median / 1e9

    return run


@cache
def _checked(case: Case, threads: int) -> Difference:
    """Compare the sides, once for both; the benchmark fails if they differ."""
    return check(case, threads)
