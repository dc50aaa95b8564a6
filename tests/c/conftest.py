"""The harness as each toolchain builds it."""

from __future__ import annotations

import pytest
from building import Program
from setup_file import ROOT
from toolchains import EMULATED, TEAMS, harness_of, slow

ROUNDING = ["neon", *(["emulated"] if EMULATED else [])]


@pytest.fixture(scope="session", autouse=True)
def sources() -> None:
    if not (ROOT / "setup.py").exists():
        pytest.skip("needs the C sources, not only the installed package")


@pytest.fixture(scope="session", params=["neon", *slow("native", "address")])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The harness of one toolchain."""
    return harness_of(request.param, tmp_path_factory)


@pytest.fixture(scope="session", params=TEAMS)
def team_program(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Program:
    """The same for calls that several threads share."""
    return harness_of(request.param, tmp_path_factory)


@pytest.fixture(scope="session", params=[*ROUNDING, *slow("native", "address")])
def rounding_program(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Program:
    """The same for products in lower precision."""
    program = harness_of(request.param, tmp_path_factory)
    if request.param == "emulated" and "amx" not in program.levels:
        pytest.skip("the emulated tiles need a processor with AVX-512")
    return program
