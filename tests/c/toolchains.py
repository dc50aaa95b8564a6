"""The toolchains that build the harness: for this machine, for its sanitizers, for ARM by qemu, for
Windows by Wine.

`make neon` sets FASTLSTM_REQUIRE_NEON=1, so that a missing cross compiler or emulator is a failure
there and a skip elsewhere; `make windows` likewise.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from building import Program, build
from cases import FAMILY, ON_ARM, of_this_machine
from setup_file import load_setup

from fastlstm.kernels import ISAS

CROSS = "aarch64-linux-gnu-gcc"
MINGW = "x86_64-w64-mingw32-gcc"
# Of toolchains that need not be there, what to install.
NEEDED = {"neon": "gcc for aarch64 and qemu-user", "windows": "gcc of mingw-w64 and wine64"}

ASK = 2_000_000  # operations between two questions whether to stop, where a test counts them

# Name -> compiler, program that runs what it makes, flags beside those of setup.py, which are the
# package's and those of `make asan`: so a cache of compiled files has most of what they compile.
CC = (sysconfig.get_config_var("CC") or "cc").split()[0]
TOOLCHAINS: dict[str, tuple[str, tuple[str, ...], list[str]]] = {
    "native": (CC, (), []),
    "address": (CC, (), []),
    "thread": (CC, (), []),
    "neon": (CC, (), []) if ON_ARM else (CROSS, ("qemu-aarch64",), ["-static"]),
    "windows": (MINGW, ("wine",), ["-static"]),
    # Tile registers in plain C: what reads and writes them is tested where no processor has them.
    "emulated": (CC, (), ["-O1", "-DFL_EMULATED", f"-DFL_ASK={ASK}"]),
}
SANITIZERS = {"address": "address,undefined", "thread": "thread"}
# That the others compile, too, is seen when the package is built.
RUNNABLE = of_this_machine(ISAS)
# Tiles stand on AVX-512, without which none are compiled.
EMULATED = ("avx512", "amx") if "avx512" in RUNNABLE else ()
# The instruction sets of a toolchain, where they are not all that run here. Calls that threads
# share are in full precision, to which those for lower precision add nothing.
ONLY = {"emulated": ("base", *EMULATED), "thread": FAMILY, "neon": ISAS}


def idle(toolchain: str) -> tuple[str, ...]:
    """Instruction sets of a toolchain that are tested by another one, or under another name, and
    types of numbers: calls that threads share are in float32."""
    if toolchain == "thread":
        return ("f64", "bf16", "int8")
    if toolchain == "emulated":
        return ("base", "avx512")
    return ("base",) if toolchain == "neon" or ON_ARM else ()


def slow(*toolchains: str) -> list[Any]:
    """Toolchains whose tests are slow.

    This machine's own is among them: tests/kernels has the same sources under each instruction set.
    """
    return [pytest.param(name, marks=pytest.mark.slow) for name in toolchains]


# For calls that threads share: only they can show a race.
TEAMS = ["neon", *slow("native", "address", "thread")]


def shared_by_teams(cases: Iterable[str], emulated: Iterable[str]) -> pytest.MarkDecorator:
    """Parametrize a test by the programs of `TEAMS`, with `cases`, or `emulated` if it is emulated.

    How threads share a call is the same code everywhere, and an emulator needs minutes for it.
    """
    pairs = [
        pytest.param(*program.values, name, marks=program.marks)
        for program in (pytest.param(p) if isinstance(p, str) else p for p in TEAMS)
        for name in (emulated if TOOLCHAINS[str(program.values[0])][1] else cases)
    ]
    return pytest.mark.parametrize(("team_program", "name"), pairs, indirect=["team_program"])


def missing(toolchain: str) -> str | None:
    """What `toolchain` needs and this machine does not have."""
    compiler, runner, _ = TOOLCHAINS[toolchain]
    return next((tool for tool in (compiler, *runner) if not shutil.which(tool)), None)


def harness_of(name: str, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The harness of a toolchain, compiled once for all processes that share these tests."""
    if tool := missing(name):
        message = f"{name}: {tool} is not installed"
        if name in NEEDED:
            message += f" (make {name} needs {NEEDED[name]})"
            if os.environ.get(f"FASTLSTM_REQUIRE_{name.upper()}") == "1":
                pytest.fail(message)
        pytest.skip(message)
    compiler, runner, flags = TOOLCHAINS[name]
    flags = [*load_setup().debug_flags(SANITIZERS.get(name, "")), *flags]
    only = ONLY.get(name, RUNNABLE)
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all processes that share these tests
    if name == "windows":
        runner = under_wine(folder / "wine")
    return build([compiler], folder / f"harness-{name}", flags, runner, only, idle(name))


def under_wine(prefix: Path) -> tuple[str, ...]:
    """How to run a program for Windows, with a folder of Wine's own that is empty at first."""
    settings = (f"WINEPREFIX={prefix}", "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=")
    return ("env", *settings, "wine")
