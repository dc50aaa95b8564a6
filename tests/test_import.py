"""What `import fastlstm` loads, and how long it takes."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import fastlstm

CODE = """
import sys, time
import numpy
before = set(sys.modules)
start = time.perf_counter()
import fastlstm
seconds = time.perf_counter() - start
print(seconds, *sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
HEAVY = set("cython matplotlib numba platformdirs pooch safetensors scipy torch tqdm".split())


def fresh() -> tuple[float, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60
    )
    seconds, *names = done.stdout.split()
    return float(seconds), set(names)


def test_loads_numpy_and_itself() -> None:
    _, names = fresh()
    assert "fastlstm" in names
    assert not names & HEAVY
    installed = names - set(sys.stdlib_module_names) - {"fastlstm", "numpy"}
    assert not {name for name in installed if not name.startswith("_")}, "third-party packages"


def test_takes_less_than_150_ms() -> None:
    """Beside numpy's own time. The best of five: other processes can only slow it."""
    assert min(fresh()[0] for _ in range(5)) < 0.15


def test_no_module_hides_one_of_the_standard_library() -> None:
    """As one would in ``python fastlstm/train_imdb.py``: the script's folder comes first."""
    names = {module.name for module in pkgutil.iter_modules(fastlstm.__path__)}
    assert "train_imdb" in names
    assert not names & sys.stdlib_module_names
