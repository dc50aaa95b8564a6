"""What `import fastlstm` and its first use load: how much stands for how long it takes."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastlstm

CODE = """
import sys
import numpy
before = set(sys.modules)
import fastlstm
fastlstm.LSTM
print(*sorted(set(sys.modules) - before))
fastlstm.LSTM(2, 3)(numpy.ones((1, 1, 2), numpy.float32))
print(*sorted(set(sys.modules) - before))
"""
COMMANDS = """
import sys
import fastlstm.cli, fastlstm.train_imdb
print(*sorted(n for n in sys.modules if n.partition(".")[0] in ("fastlstm", "numpy")))
"""
HEAVY = set("cython keras matplotlib numba platformdirs pooch safetensors scipy torch tqdm".split())


@pytest.fixture(scope="module")
def by_use() -> list[set[str]]:
    """Modules that a fresh process loads beside numpy's by importing, and then by a first call."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return [set(line.split()) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def loaded(by_use: list[set[str]]) -> set[str]:
    return by_use[0]


def test_loads_numpy_and_itself(loaded: set[str]) -> None:
    names = {name.partition(".")[0] for name in loaded}
    assert "fastlstm" in names
    assert not names & HEAVY
    installed = names - set(sys.stdlib_module_names) - {"fastlstm", "numpy"}
    assert not {name for name in installed if not name.startswith("_")}, "third-party packages"


def test_loads_few_modules(loaded: set[str]) -> None:
    """Some 35 small ones, in less than 0.15 s; what is not needed by all is loaded when used."""
    assert len(loaded) < 60
    for name in ("train", "cli", "text", "torch", "keras", "sklearn", "plotting"):
        assert f"fastlstm.{name}" not in loaded


def test_a_first_call_loads_no_masked_arrays(by_use: list[set[str]]) -> None:
    """They take as long as all else of it."""
    assert "numpy.ma" not in by_use[1]


def test_a_layer_loads_no_other(loaded: set[str]) -> None:
    for name in ("gru", "cell", "chain", "embedding", "linear", "losses", "regression_losses"):
        assert f"fastlstm.nn.{name}" not in loaded


@pytest.mark.parametrize(
    ("package", "below"),
    [("files", {"counts"}), ("kernels", {"counts", "files", "memory", "notices"})],
)
def test_what_all_stands_on_imports_nothing_above_it(package: str, below: set[str]) -> None:
    """Nor later, inside a function."""
    found = set()
    for path in (Path(fastlstm.__file__).parent / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fastlstm"):
                _, _, name = str(node.module).partition("fastlstm.")
                found |= {name.split(".")[0]} if name else {alias.name for alias in node.names}
    assert found - {package} <= below


def test_every_name_is_found_in_a_fresh_process() -> None:
    """Whichever is asked for first; and `dir` shows all before any is loaded."""
    code = (
        "import sys, fastlstm, fastlstm.nn as nn\n"
        "assert 'numpy' not in sys.modules\n"
        "for module in (fastlstm, nn):\n"
        "    assert set(module.__all__) <= set(dir(module)), module\n"
        "for name in reversed(nn.__all__):\n"
        "    assert getattr(nn, name).__name__ == name\n"
        "assert nn.recurrent.stream is sys.modules['fastlstm.nn.recurrent.stream']\n"
        "assert not hasattr(nn, 'check_size')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_command_is_ready_for_ctrl_c_at_once() -> None:
    """Nothing that takes long is loaded before its `main` can say that it was interrupted."""
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {
        "fastlstm", "fastlstm._version", "fastlstm.cli", "fastlstm.cli.errors",
        "fastlstm.cli.flags", "fastlstm.lazy", "fastlstm.memory", "fastlstm.printable",
        "fastlstm.train_imdb",
    }  # fmt: skip


def test_no_module_hides_one_of_the_standard_library() -> None:
    """As one would in ``python fastlstm/train_imdb.py``: the script's folder comes first."""
    names = {module.name for module in pkgutil.iter_modules(fastlstm.__path__)}
    assert "train_imdb" in names
    assert not names & sys.stdlib_module_names
