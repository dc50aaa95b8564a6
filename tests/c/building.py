"""The kernels and harness.c, compiled without Python, and how to run what comes of it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from cases import ALL_LOWER
from setup_file import ROOT, load_setup

from fastlstm.kernels import ISAS

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """The harness compiled by one toolchain; `runner` starts it."""

    runner: tuple[str, ...]
    path: Path
    sanitized: bool

    @cached_property
    def isas(self) -> list[str]:
        """The instruction sets which it holds and this machine (or its emulator) can run.

        Without base where there is neon: there the two differ in their names alone.
        """
        return [isa for isa in self.levels if isa not in ALL_LOWER]

    @cached_property
    def levels(self) -> list[str]:
        """Those, and the ones that add products of lower precision to one of them."""
        found = [isa for isa in ISAS if not subprocess.call([*self.runner, str(self.path), isa])]
        return found[1:] if "neon" in found else found

    def run(self, isas: Sequence[str], data: bytes, folder: Path) -> list[bytes]:
        """Run the harness on case `data` in `folder`, return its results of each instruction set.

        In one process: under a sanitizer or an emulator to start one takes longer than a case.
        """
        source, target = folder / "cases.bin", folder / "results.bin"
        source.write_bytes(data)
        command = [*self.runner, str(self.path), str(source), str(target), *isas]
        # ThreadSanitizer waits a second at the end of each process, unless told
        env = {"TSAN_OPTIONS": "atexit_sleep_ms=20", **os.environ}
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=env)
        if done.returncode:
            told = f"exit status {done.returncode}\n{done.stderr}"
            raise RuntimeError(f"harness {' '.join(isas)}: {told}")
        results = target.read_bytes()
        size = len(results) // len(isas)
        return [results[k * size : (k + 1) * size] for k in range(len(isas))]


def build(
    compiler: list[str],
    folder: Path,
    flags: list[str],
    runner: tuple[str, ...],
    only: Sequence[str] = (),
    idle: Sequence[str] = (),
) -> Program:
    """Compile kernels and harness with `compiler` and `flags`, warnings as errors.

    `only` names instruction sets to do without the others, `idle` those, and the types of numbers,
    that are not worth optimizing. Of processes that use the same folder the first compiles, and the
    others wait.
    """
    folder.mkdir(exist_ok=True)
    program = folder / ("harness.exe" if "mingw" in compiler[0] else "harness")
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            compile_program(compiler, folder, flags, program, only, idle)
    sanitized = any(flag.startswith("-fsanitize") for flag in flags)
    return Program(runner, program, sanitized)


def compile_program(
    compiler: list[str],
    folder: Path,
    flags: list[str],
    program: Path,
    only: Sequence[str],
    idle: Sequence[str],
) -> None:
    """Compile each C source to an object file in `folder`, and link them."""
    setup = load_setup()
    source_dir = ROOT / setup.SOURCE_DIR
    levels = [name for name in setup.supported_levels(compiler, folder) if name in (only or ISAS)]
    # In the order and from the folder of setup.py: so a cache of compiled files has them.
    gcc_x86 = setup.is_gcc_x86(compiler, folder)
    before = ["-fPIC", *setup.kernel_flags(compiler, folder), "-Werror"]
    flags = [*flags, "-I", setup.SOURCE_DIR.as_posix()]
    flags += [f"-D{name}={value}" for name, value in setup.kernel_macros(levels)]

    def compile_one(source: Path) -> str:
        target = str(folder / f"{source.stem}.o")
        plain = ["-O0"] if not set(source.stem.split("_")[1:]).isdisjoint(idle) else []
        smaller = setup.smaller_flags(source, gcc_x86)
        run_compiler(
            [*compiler, *before, *smaller, *flags, *plain, "-c", str(source), "-o", target]
        )
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        kernels = [
            setup.SOURCE_DIR / file.name for file in setup.kernel_sources(levels, source_dir)
        ]
        sources = [*kernels, HERE / "harness.c"]
        objects = list(pool.map(compile_one, sources))
    run_compiler([*compiler, *before, *flags, *objects, "-o", str(program), "-lm"])


def load_library(folder: Path, name: str, *sources: str) -> ctypes.CDLL:
    """Compile `name`.c of this folder and sources of the kernels, and load the library."""
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    setup, library = load_setup(), folder / f"{name}.so"
    kernels = ROOT / setup.SOURCE_DIR
    files = [HERE / f"{name}.c", *(kernels / source for source in sources)]
    options = ["-Werror", "-shared", "-fPIC", "-fvisibility=default", "-I", str(kernels)]
    run_compiler(["cc", *setup.KERNEL_FLAGS, *options, *map(str, files), "-o", str(library)])
    return ctypes.CDLL(str(library))


def run_compiler(command: list[str]) -> None:
    """Run a compiler command; its messages are the error if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
