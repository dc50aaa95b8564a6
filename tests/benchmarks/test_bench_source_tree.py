"""A clone beside an installed package: the one that has kernels is used."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from benchmarks.machine import ROOT

CODE = """
import sys
sys.path.append(INSTALLED)
import benchmarks
sys.path.insert(0, CLONE)  # as pytest does with the folder of each test
import fastlstm
print(fastlstm.__file__)
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder like a clone, whose package has a folder for kernels and nothing in it."""
    for name in ("__init__.py", "source_tree.py"):
        (tmp_path / "clone" / "benchmarks").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "benchmarks" / name, tmp_path / "clone" / "benchmarks" / name)
    for place in ("clone", "installed"):
        package = tmp_path / place / "fastlstm"
        (package / "kernels" / "native").mkdir(parents=True)
        (package / "__init__.py").touch()
    return tmp_path / "clone"


def loaded(clone: Path) -> Path:
    """Return which of the two a process in the clone loads, nothing else being installed."""
    installed = clone.parent / "installed"
    code = CODE.replace("INSTALLED", repr(str(installed))).replace("CLONE", repr(str(clone)))
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", code],
        cwd=clone,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip()).parents[1]


def test_without_kernels_it_does_not_hide_what_is_installed(clone: Path) -> None:
    assert loaded(clone) == clone.parent / "installed"


@pytest.mark.parametrize("folder", [".", "native"], ids=["an earlier layout", "today's"])
def test_with_kernels_it_is_used(clone: Path, folder: str) -> None:
    (clone / "fastlstm" / "kernels" / folder / f"_native{EXTENSION_SUFFIXES[0]}").touch()
    assert loaded(clone) == clone


def test_alone_it_is_used(clone: Path) -> None:
    shutil.rmtree(clone.parent / "installed")
    assert loaded(clone) == clone
