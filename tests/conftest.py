"""Fixtures: each test that takes `kernel` or `backend_isa` runs under the reference and under
every instruction set of the native backend.

FASTLSTM_REQUIRE_NATIVE=1 makes a missing extension a failure and not a skip.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cases import FAMILY
from hypothesis import HealthCheck, settings

from fastlstm import kernels, runtime

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

try:
    NATIVE: Any = importlib.import_module("fastlstm.kernels.native")
except ImportError as error:
    NATIVE, WHY_NOT = None, str(error)
    os.environ.setdefault("FASTLSTM_BACKEND", "reference")  # chosen, so that nothing warns


def pytest_report_header() -> str:
    info = runtime.runtime_info()
    return f"fastlstm: backend {info['backend']}, isa {info['isa']}, threads {info['threads']}"


def load_native() -> Any:
    """Return the native backend; without it skip the test, or fail it where it is required."""
    if NATIVE is None:
        stop = pytest.fail if os.environ.get("FASTLSTM_REQUIRE_NATIVE") == "1" else pytest.skip
        stop(f"the native backend cannot be loaded: {WHY_NOT}")
    return NATIVE


@contextmanager
def use_backend(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make new layers use "reference" or "native-" and an instruction set, or skip the test."""
    backend, _, isa = name.partition("-")
    monkeypatch.setenv("FASTLSTM_BACKEND", backend)
    if backend == "reference":
        yield
        return
    native = load_native()
    if isa not in native.supported_isas():
        pytest.skip(f"{isa} is not in this build or not of this machine")
    before = native.isa()
    native.set_isa(isa)
    try:
        yield
    finally:
        native.set_isa(before)


@pytest.fixture
def native() -> Any:
    """The native backend, for what only it has."""
    return load_native()


@pytest.fixture(params=["reference", *(f"native-{isa}" for isa in FAMILY)])
def backend_isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Select a backend and an instruction set for all layers made in the test; their name."""
    with use_backend(request.param, monkeypatch):
        yield request.param


@pytest.fixture
def kernel(backend_isa: str) -> kernels.Kernel:
    """The LSTM kernels of the selected backend."""
    return kernels.get("lstm", backend_isa.partition("-")[0])


@pytest.fixture(params=FAMILY)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Select the native backend and an instruction set; its name."""
    with use_backend(f"native-{request.param}", monkeypatch):
        yield request.param


@pytest.fixture
def native_kernel(isa: str, native: Any) -> Any:
    """The LSTM kernels without the reference, for promises that only compiled kernels make."""
    return native


@pytest.fixture
def threads() -> Iterator[None]:
    """Put the number of threads back after the test."""
    before = runtime.get_num_threads()
    yield
    runtime.set_num_threads(before)
