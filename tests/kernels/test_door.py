"""kernels.backend: names, environment, and what happens without the extension."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from cases import FAMILY, LOWER

from fastlstm import kernels


def test_names() -> None:
    names = "lstm gru gru_reset_before rnn_tanh rnn_relu peephole_lstm"
    assert tuple(kernels.CELLS) == tuple(names.split())
    assert {"native", "reference"} <= set(kernels.BACKENDS)


def test_spec_of_lstm() -> None:
    LSTM = kernels.CELLS["lstm"]
    assert LSTM.gates == ("i", "f", "g", "o")
    assert LSTM.states == ("h", "c")
    assert LSTM.gate_rows(7) == 28
    assert [cell.name for cell in kernels.CELLS.values() if cell.projects] == ["lstm"]


BACKENDS = ", ".join(kernels.BACKENDS)


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match=f"backend is 'cuda', expected one of {BACKENDS}"):
        kernels.backend("cuda")


def test_backend_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLSTM_BACKEND", "reference")
    assert kernels.default_backend() == "reference"
    assert kernels.backend() is kernels.backend("reference")


def test_unknown_backend_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLSTM_BACKEND", "fast")
    message = f"FASTLSTM_BACKEND='fast', expected one of {BACKENDS}"
    with pytest.raises(ValueError, match=message):
        kernels.backend()


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, these variables added to the environment."""
    import os

    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


USE = "import fastlstm as fl; fl.LSTM(2, 2); print(fl.runtime_info()['isa'])"


def test_unknown_isa_of_the_environment() -> None:
    done = python(USE, FASTLSTM_ISA="avx3")
    assert done.returncode
    assert f"FASTLSTM_ISA='avx3', expected one of {', '.join(kernels.ISAS)}" in done.stderr


@pytest.mark.parametrize("isa", [*FAMILY, *LOWER])
def test_isa_of_the_environment(native: object, isa: str) -> None:
    done = python(USE, FASTLSTM_ISA=isa, FASTLSTM_BACKEND="native")
    if isa in native.supported_isas():  # type: ignore[attr-defined]
        assert (done.returncode, done.stdout.strip()) == (0, isa), done.stderr
    else:
        assert done.returncode
        assert isa in done.stderr


HIDE = "import sys; sys.modules['fastlstm.kernels.native._native'] = None; "
HIDE_NUMBA = "sys.modules['numba'] = None; "
WARNING = "SlowWarning: fastlstm's compiled kernels cannot be loaded"


def test_without_the_extension_one_warning_and_numba(
    load_backend: Callable[[str], object],
) -> None:
    load_backend("numba")
    done = python(HIDE + "import fastlstm as fl; fl.LSTM(2, 2);" + USE, FASTLSTM_BACKEND="")
    assert (done.returncode, done.stdout.strip()) == (0, "host"), done.stderr
    assert done.stderr.count(WARNING) == 1
    assert "the Numba backend runs in their place" in done.stderr


def test_without_numba_either_one_warning_and_the_reference() -> None:
    hide = HIDE + HIDE_NUMBA + "import fastlstm as fl; fl.LSTM(2, 2);"
    done = python(hide + USE, FASTLSTM_BACKEND="")
    assert (done.returncode, done.stdout.strip()) == (0, "numpy"), done.stderr
    assert done.stderr.count(WARNING) == 1
    assert "pip install 'fastlstm[numba]'" in done.stderr


def test_numba_by_name_without_it_is_an_error() -> None:
    get = "from fastlstm import kernels; kernels.backend('numba')"
    done = python("import sys; " + HIDE_NUMBA + get)
    assert done.returncode
    assert "numba" in done.stderr.splitlines()[-1]


def test_without_the_extension_native_by_name_is_an_error() -> None:
    done = python(HIDE + USE, FASTLSTM_BACKEND="native")
    assert done.returncode
    assert "ImportError" in done.stderr or "ModuleNotFoundError" in done.stderr


def test_unknown_isa_by_call(native: object) -> None:
    before = native.isa()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="isa is 'sse9', expected one of .*base"):
        native.set_isa("sse9")  # type: ignore[attr-defined]
    assert native.isa() == before  # type: ignore[attr-defined]


SHORT_OF_MEMORY = """
import resource, sys
from fastlstm import kernels
from fastlstm.memory import is_memory_short
assert not is_memory_short()
sys.modules["fastlstm.kernels.native"] = None
with open("/proc/self/statm") as file:
    most = int(file.read().split()[0]) * resource.getpagesize() + (16 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    kernels.backend()
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_short_of_memory() -> None:
    """No other backend takes the place of one that memory has no room for: it needs more."""
    done = python(SHORT_OF_MEMORY)
    assert done.stdout == "no memory to load the native backend\n", done.stderr
