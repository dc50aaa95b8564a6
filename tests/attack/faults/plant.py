"""A copy of the project to plant faults in: patched, compiled where that is needed, tested."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setup_file import load_setup

from attack import watch
from attack.faults.fault import Fault
from attack.plan import ROOT

PARTS = (
    "fastlstm", "tests", "setup.py", "pyproject.toml", "README.md", "CONTRIBUTING.md", "benchmarks",
    "docs",
)  # fmt: skip
FOUND, MISSED = 1, 0  # exit status of pytest


class Copy:
    """The project in another folder, to be damaged.

    Kernels are compiled there for the baseline instruction set, without optimising much: a fault
    in them takes some seconds to build.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in PARTS:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
                shutil.copytree(source, folder / name, ignore=ignored)
            elif source.exists():
                shutil.copy(source, folder / name)
        self.package = folder / "fastlstm"
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        self.extension = self.package / "kernels" / "native" / f"_native{suffix}"
        self._door: Path | None = None

    def compile_kernels(self) -> None:
        """Build the extension from the sources of the copy."""
        setup = load_setup()
        source, build = self.folder / setup.SOURCE_DIR, self.folder / "objects"
        build.mkdir(exist_ok=True)
        flags = [*setup.KERNEL_FLAGS, "-O1", "-fPIC", "-w", f"-I{source}"]
        flags += [f"-D{name}={value}" for name, value in setup.kernel_macros([])]

        def one(path: Path) -> str:
            target = build / f"{path.stem}.o"
            _run(["cc", *flags, "-c", str(path), "-o", str(target)])
            return str(target)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(one, setup.kernel_sources([], source)))
        objects.append(str(self._compiled_door(source, build)))
        self.extension.unlink(missing_ok=True)
        _run(["cc", "-shared", "-pthread", *objects, "-o", str(self.extension), "-lm"])
        # One that cannot be loaded has its tests skipped, which would look like a fault not found.
        _run([sys.executable, "-c", "import fastlstm.kernels.native"], self.folder)

    def _compiled_door(self, source: Path, build: Path) -> Path:
        """The Cython part as an object, made once: faults in it have it made anew."""
        if self._door is None:
            code, target = build / "_native.c", build / "_native.o"
            pyx = self.package / "kernels" / "native" / "_native.pyx"
            _run([sys.executable, "-m", "cython", "-3", str(pyx), "-o", str(code)], self.folder)
            python = sysconfig.get_path("include")
            _run(["cc", "-O0", "-fPIC", "-w", "-pthread", f"-I{python}", f"-I{source}",
                  "-c", str(code), "-o", str(target)])  # fmt: skip
            self._door = target
        return self._door

    def attempt(self, fault: Fault) -> str:
        """Plant a fault and run its tests; what is wrong, or nothing if they find it."""
        path = self.folder / fault.file
        sound = path.read_text(encoding="utf-8")
        if sound.count(fault.old) != 1:
            return f"{fault.file} has {sound.count(fault.old)} times, expected 1: {fault.old}"
        path.write_text(sound.replace(fault.old, fault.new), encoding="utf-8")
        try:
            if fault.compiled:
                self._rebuild(fault)
            status, told = self.test(fault)
        finally:
            path.write_text(sound, encoding="utf-8")
        if status == FOUND:
            return ""
        if status == MISSED:
            return f"not found by {fault.tests}: {fault.new or 'nothing'} for {fault.old}"
        return f"tests ended with {status}: {told[-800:]}"

    def control(self, faults: Sequence[Fault]) -> str:
        """Run the tests of all faults without any; what fails, or nothing.

        Tests that fail anyway would find every fault.
        """
        if any(fault.compiled for fault in faults):
            self.compile_kernels()
        for only in sorted({fault.only for fault in faults}):
            words = {w for f in faults if f.only == only for w in f.tests.split()}
            status, told = self.test(faults[0]._replace(tests=" ".join(sorted(words)), only=only))
            if status != MISSED:
                return f"tests fail without a fault: {told[-1500:]}"
        return ""

    def _rebuild(self, fault: Fault) -> None:
        if self._is_in_the_door(fault):
            self._door = None
        self.compile_kernels()
        if self._is_in_the_door(fault):
            self._door = None

    def _is_in_the_door(self, fault: Fault) -> bool:
        """Whether the Cython part is made of the file: one of its own, or a header it includes."""
        if not fault.file.endswith((".c", ".h")):
            return True
        declared = self.package / "kernels" / "native" / "_c.pxd"
        return f'from "{Path(fault.file).name}"' in declared.read_text(encoding="utf-8")

    def test(self, fault: Fault) -> tuple[int, str]:
        """Run the tests of a fault in the copy."""
        words = ["-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow"]
        chosen = ["-k", fault.only] if fault.only else []
        paths = os.pathsep.join([str(self.folder), str(self.folder / "tests")])
        env = {**watch.environment(), "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, *words, *chosen, *fault.tests.split()],
            cwd=self.folder, env=env, capture_output=True, text=True,
        )  # fmt: skip
        # A kernel may also end the process: that is noticed too.
        return (FOUND if done.returncode < 0 else done.returncode), done.stdout + done.stderr


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
