"""`fastlstm.keras` on the backends of Keras, each in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if importlib.util.find_spec("keras") is None:
    pytest.skip("needs Keras", allow_module_level=True)


def run(backend: str, *command: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    environment = {
        **os.environ, "KERAS_BACKEND": backend, "FASTLSTM_TEST_KERAS": "1", "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",  # torch's threads spin after each of many small operations
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_on_backend(backend: str) -> None:
    """All tests of on_backend/, of which some are for one backend only."""
    check_on_backend(backend, "not slow")


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_on_backend_slow(backend: str) -> None:
    check_on_backend(backend, "slow")


def check_on_backend(backend: str, which: str) -> None:
    pytest.importorskip({"torch": "torch", "numpy": "scipy"}[backend])
    quiet = "ignore::DeprecationWarning"  # of Keras, about its own arrays
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", quiet, "-m", which]
    done = run(backend, "-m", "pytest", *options, str(HERE / "on_backend"))
    assert done.returncode == 0, done.stdout + done.stderr


WITHOUT_KERAS = """
import sys
sys.modules["keras"] = None
import fastlstm
assert "keras" in dir(fastlstm)
assert not hasattr(fastlstm, "keras")
import fastlstm.keras
"""


def test_keras_is_missing() -> None:
    done = run("numpy", "-c", WITHOUT_KERAS)
    assert "ImportError: fastlstm.keras needs Keras 3: pip install 'fastlstm[keras]'" in done.stderr


def test_a_backend_that_is_not_installed_is_named() -> None:
    hidden = "import sys; sys.modules['tensorflow'] = None; import fastlstm.keras"
    done = run("tensorflow", "-c", hidden)
    assert "ImportError: Keras cannot be loaded (" in done.stderr
    assert "set the environment variable KERAS_BACKEND to torch or numpy" in done.stderr
