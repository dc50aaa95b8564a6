"""kernels.get: names, environment, and what happens without the extension."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cases import FAMILY

from fastlstm import kernels
from fastlstm.kernels.spec import LSTM


def test_names() -> None:
    assert tuple(kernels.CELLS) == ("lstm",)
    assert tuple(kernels.BACKENDS) == ("native", "reference")


def test_spec_of_lstm() -> None:
    assert LSTM.gates == ("i", "f", "g", "o")
    assert LSTM.states == ("h", "c")
    assert LSTM.gate_rows(7) == 28


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_each_cell_has_its_functions_in_each_backend(
    cell: str, backend: str, request: pytest.FixtureRequest
) -> None:
    if backend == "native":
        request.getfixturevalue("native")
    found = kernels.get(cell, backend)
    assert callable(found.forward)
    assert callable(found.backward)
    assert callable(found.Stream)


def test_unknown_cell() -> None:
    with pytest.raises(ValueError, match="cell is 'gru', expected one of lstm"):
        kernels.get("gru")


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="backend is 'cuda', expected one of native, reference"):
        kernels.get("lstm", "cuda")


def test_backend_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLSTM_BACKEND", "reference")
    assert kernels.default_backend() == "reference"
    assert kernels.get() is kernels.get("lstm", "reference")


def test_unknown_backend_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLSTM_BACKEND", "fast")
    message = "FASTLSTM_BACKEND='fast', expected one of native, reference"
    with pytest.raises(ValueError, match=message):
        kernels.get()


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, these variables added to the environment."""
    import os

    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


USE = "import fastlstm as fl; fl.LSTM(2, 2); print(fl.runtime_info()['isa'])"


def test_unknown_isa_of_the_environment() -> None:
    done = python(USE, FASTLSTM_ISA="avx3")
    assert done.returncode
    assert "FASTLSTM_ISA='avx3', expected one of base, avx2, avx512, neon" in done.stderr


@pytest.mark.parametrize("isa", FAMILY)
def test_isa_of_the_environment(native: object, isa: str) -> None:
    done = python(USE, FASTLSTM_ISA=isa, FASTLSTM_BACKEND="native")
    if isa in native.supported_isas():  # type: ignore[attr-defined]
        assert (done.returncode, done.stdout.strip()) == (0, isa), done.stderr
    else:
        assert done.returncode
        assert isa in done.stderr


HIDE = "import sys; sys.modules['fastlstm.kernels._native'] = None; "


def test_without_the_extension_one_warning_and_the_reference() -> None:
    done = python(HIDE + "import fastlstm as fl; fl.LSTM(2, 2);" + USE, FASTLSTM_BACKEND="")
    assert (done.returncode, done.stdout.strip()) == (0, "numpy"), done.stderr
    assert done.stderr.count("RuntimeWarning: fastlstm's compiled kernels cannot be loaded") == 1


def test_without_the_extension_native_by_name_is_an_error() -> None:
    done = python(HIDE + USE, FASTLSTM_BACKEND="native")
    assert done.returncode
    assert "ImportError" in done.stderr or "ModuleNotFoundError" in done.stderr


def test_unknown_isa_by_call(native: object) -> None:
    before = native.isa()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="isa is 'sse9', expected one of .*base"):
        native.set_isa("sse9")  # type: ignore[attr-defined]
    assert native.isa() == before  # type: ignore[attr-defined]
