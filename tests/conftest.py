"""Fixtures: each test that takes `kernel` or `backend_isa` runs under the reference, under Numba
and under every instruction set of the native backend.

FASTLSTM_REQUIRE_NATIVE=1 makes a missing extension a failure and not a skip, and
FASTLSTM_REQUIRE_NUMBA=1 likewise. FASTLSTM_TEST_ISA names the one instruction set to test, without
the reference; FASTLSTM_TEST_ONCE=1 has each value of a parameter once (covering.py).
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import none

# NumPy's and torch's own threads wait for work by spinning. Where processes share the cores, each
# takes time from the others: training with attention took seven times as much of it.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before NumPy is loaded, and for each child of a test

# What a shell runs in the background ignores Ctrl-C, and so would all that a test starts and sends
# it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Nothing is garbage while tests are collected, and to look for it takes as long as to collect them.
gc.disable()

ROOT = Path(__file__).parents[1]
if (ROOT / "benchmarks" / "source_tree.py").exists():
    sys.path.append(str(ROOT))
    from benchmarks.source_tree import is_built  # and the right fastlstm is loaded

    if not is_built():
        os.chdir(ROOT / "tests")  # Python puts the current folder first for each child of a test

from bound import Kernel  # noqa: E402
from cases import LOWER, NOT_HERE, NUMBA, ONLY_ISA, TESTED, of_this_machine  # noqa: E402
from covering import thin  # noqa: E402
from short_reports import (  # noqa: E402, F401
    pytest_report_from_serializable,
    pytest_report_to_serializable,
)

from fastlstm import kernels, runtime  # noqa: E402

# Derandomized: the same run fails or passes everywhere. The fixtures that hypothesis warns about
# select a backend for the whole test, which is what is meant.
settings.register_profile(
    "fastlstm",
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("fastlstm")


@cache
def _load(backend: str) -> tuple[Any, str]:
    """Return a backend's module, or None and why it cannot be loaded."""
    if backend not in kernels.BACKENDS:
        return None, "there is none of this name"
    try:
        return importlib.import_module(kernels.BACKENDS[backend]), ""
    except ImportError as error:
        return None, str(error)


if _load("native")[0] is None:
    os.environ.setdefault("FASTLSTM_BACKEND", "reference")  # chosen, so that nothing warns


def pytest_report_header() -> str:
    info = runtime.runtime_info()
    used = f"backend {info['backend']}, isa {info['isa']}, threads {info['threads']}"
    missing = f"; not tested, as they cannot run here: {', '.join(NOT_HERE)}" if NOT_HERE else ""
    return f"fastlstm: {used}{missing}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Have Hypothesis used before anything is collected.

    At first use it looks through all objects for what refers to its generator, and warns if nothing
    does. There are few objects yet: later it takes a second, and what is frozen is not looked at.
    """
    given(none())(lambda _: None)()


@pytest.hookimpl(tryfirst=True)  # before -m looks at what is slow
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest: begun last, it would keep one core busy and the others not.

    Then come Numba's tests, one behind another: of two processes that share the tests one has most
    of them, and compiles what the other one would compile at the same time.
    """

    thin(config, items)

    def order(item: pytest.Item) -> tuple[float, bool]:
        marker = item.get_closest_marker("slow")
        seconds = float(marker.kwargs.get("seconds", 0)) if marker else 0.0
        return -seconds, "numba" not in item.nodeid

    items.sort(key=order)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Look for garbage again from here on: not in what was collected, which stays to the end."""
    gc.freeze()
    gc.enable()


def load(backend: str) -> Any:
    """Return a backend's module; without it skip the test, or fail it where it is required."""
    module, why_not = _load(backend)
    if module is None:
        stop = pytest.skip
        if os.environ.get(f"FASTLSTM_REQUIRE_{backend.upper()}") == "1":
            stop = pytest.fail
        stop(f"the {backend} backend cannot be loaded: {why_not}")
    return module


@contextmanager
def use_backend(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make new layers use a backend, or "native-" and an instruction set, or skip the test."""
    backend, _, isa = name.partition("-")
    module = load(backend)
    monkeypatch.setenv("FASTLSTM_BACKEND", backend)
    if step := sys.modules.get("fastlstm.torch.step"):
        step.compiled_step.cache_clear()  # of another backend, perhaps
    if not isa:
        yield
        return
    if isa not in module.supported_isas():
        pytest.skip(f"{isa} is not in this build or not of this machine")
    before = module.isa()
    module.set_isa(isa)
    try:
        yield
    finally:
        module.set_isa(before)


COMPILED = [NUMBA, *(f"native-{isa}" for isa in TESTED)]
# What rounds the factors of products: some instruction sets are for that alone.
ROUNDING = [f"native-{isa}" for isa in (TESTED if ONLY_ISA else (*TESTED, *of_this_machine(LOWER)))]


@pytest.fixture(scope="session", autouse=True)
def all_threads() -> None:
    """Have calls wait for all their threads, on a busy machine too: tests are to meet them."""
    if _load("native")[0] is not None:
        importlib.import_module("fastlstm.kernels.native._native").be_patient(True)


@pytest.fixture(scope="session")
def load_backend() -> Callable[[str], Any]:
    """Load a backend by name, or skip the test."""
    return load


@pytest.fixture
def native() -> Any:
    """The native backend, for what only it has."""
    return load("native")


@pytest.fixture(params=COMPILED if ONLY_ISA else ["reference", *COMPILED])
def backend_isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Select a backend and an instruction set for all layers made in the test; their name."""
    with use_backend(request.param, monkeypatch):
        yield request.param


@pytest.fixture(params=ROUNDING if ONLY_ISA else ["reference", *ROUNDING])
def rounding_isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """As `backend_isa`, of all that make products in bfloat16 and int8."""
    with use_backend(request.param, monkeypatch):
        yield request.param


@pytest.fixture
def cell() -> str:
    """The cell of `kernel`; tests of all of them parametrize it by `spread` or `each_cell`."""
    return "lstm"


@pytest.fixture
def kernel(cell: str, backend_isa: str) -> Kernel:
    """The kernels of a cell in the selected backend."""
    return Kernel(cell, backend_isa.partition("-")[0])


@pytest.fixture(params=TESTED)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Select the native backend and an instruction set; its name."""
    with use_backend(f"native-{request.param}", monkeypatch):
        yield request.param


@pytest.fixture(params=COMPILED)
def compiled_kernel(
    cell: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kernel]:
    """As `kernel` without the reference, which runs on one thread."""
    with use_backend(request.param, monkeypatch):
        yield Kernel(cell, request.param.partition("-")[0])


@pytest.fixture
def native_kernel(cell: str, isa: str) -> Any:
    """The kernels of a cell for promises that only the native backend makes."""
    return Kernel(cell, "native")


@pytest.fixture
def threads() -> Iterator[None]:
    """Put the number of threads back after the test."""
    before = runtime.get_num_threads()
    yield
    runtime.set_num_threads(before)
