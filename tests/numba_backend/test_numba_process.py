"""What the backend does to the process around it: imports, threads, fork, floating-point state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, Case, make
from checks import check_float_state, others_run_beside, run, run_forward

BIG = Case(20, 64, 64, 96, ragged=True, dtype=F32)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
        cwd=Path(__file__).parent,  # for its helpers
    )


FORK = """
import multiprocessing, warnings
import numpy as np
import fastlstm as fl

warnings.simplefilter("ignore", DeprecationWarning)  # "multi-threaded, use of fork": the point
fl.set_num_threads(2)
rnn = fl.LSTM(64, 128, rng=np.random.default_rng(0))
x = np.random.default_rng(1).standard_normal((40, 64, 64)).astype("float32")

def use(_):
    y, _, tape = rnn.forward(x)
    dx, _ = rnn.backward(tape, y)
    return float(y.sum()), float(dx.sum())

if __name__ == "__main__":
    import pthreads
    started = pthreads.watch()
    expected = use(0)
    assert started, "one thread only: nothing is tested"
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(use, range(4)).get(timeout=600) == [expected] * 4
    assert use(0) == expected
    print("same")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_fork_after_use() -> None:
    done = run_python(FORK, FASTLSTM_BACKEND="numba")
    assert done.stdout.strip() == "same", done.stderr


def test_importing_the_backend_starts_no_thread() -> None:
    code = """
import threading
import fastlstm.kernels
fastlstm.kernels.backend("numba")
print(threading.active_count())
"""
    assert run_python(code).stdout.strip() == "1"


def test_a_missing_numba_is_named() -> None:
    code = """
import sys
sys.modules["numba"] = None
import fastlstm as fl
from fastlstm import kernels
from fastlstm.custom import custom_cell
for call in (
    lambda: kernels.backend("numba"),
    lambda: custom_cell("C", gates=("z",), forward=lambda z: z, backward=lambda dh: dh),
):
    try:
        call()
    except ImportError as error:
        print(error)
"""
    done = run_python(code)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    for line in lines:
        assert "needs Numba" in line
        assert "pip install fastlstm[numba]" in line


@pytest.fixture(scope="module")
def float_state() -> Any:
    """A reader of the register that says whether denormals are flushed."""
    import numba

    from fastlstm.kernels.numba.float_state import flush_denormals, restore_denormals
    from fastlstm.kernels.numba.jit import OPTIONS

    @numba.njit(**OPTIONS)
    def read() -> Any:
        state = flush_denormals()
        restore_denormals(state)
        return state

    return read


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_floating_point_state_comes_back(float_state: Any, dtype: np.dtype[Any]) -> None:
    kernel: Any = Kernel("lstm", "numba")
    p = make(BIG.with_dtype(dtype), kernel.cell)
    for n_threads in (1, 2):

        def call(n_threads: int = n_threads) -> None:
            run(kernel, p, n_threads=n_threads)

        call()  # sticky exception flags are set once
        check_float_state(call, float_state)


@pytest.mark.parametrize(("dtype", "tiny"), [(F32, 1e-40), (F64, 1e-310)], ids=str)
def test_denormals_are_flushed_inside(dtype: np.dtype[Any], tiny: float) -> None:
    kernel: Any = Kernel("lstm", "numba")
    p = make(Case(3, 5, 4, 9, dtype=dtype), kernel.cell)
    for array in (p.x, *p.state, *(w for w in p.weights[:5] if w is not None)):
        array[...] = 0
    p.weights.b_ih[9:18] = 30  # the forget gate keeps everything
    p.state[1][...] = tiny
    out, _ = run_forward(kernel, p)
    assert not out["c_n"].any()


def test_the_gil_is_released() -> None:
    kernel: Any = Kernel("lstm", "numba")
    p = make(Case(200, 32, 128, 256, dtype=F32), kernel.cell)
    run_forward(kernel, p)  # compiled
    assert others_run_beside(lambda: run_forward(kernel, p))


# Tiles of other widths than this machine's: the code for them must be as right.
OTHER_PROCESSOR = """
import sys
import numpy as np
from fastlstm.kernels import CELLS, Call, Gradients, Rows, Weights, backend
from fastlstm.kernels.numba.tile import VECTOR_BYTES

def run(name):
    kernels, rng = backend(name), np.random.default_rng(0)
    G, N, I, H = 3 * 19, 7, 5, 19
    draw = lambda *shape: rng.standard_normal(shape).astype("f4")
    w = Weights(draw(G, I), draw(G, H), draw(G), draw(G))
    x, y, dx = draw(6, N, I), np.empty((6, N, H), "f4"), np.empty((6, N, I), "f4")
    grads = Weights(*(np.zeros_like(a) for a in w[:4]))
    call = Call(x, (draw(N, H),), w, Rows(6, N), y, save=True)
    (h_n,), saved = kernels.forward(CELLS["gru"], call)
    (dh,), _ = kernels.backward(saved, Gradients(draw(6, N, H), (None,), grads, dx))
    return [y, dx, dh, *grads[:4]]

for a, b in zip(run("numba"), run("reference"), strict=True):
    assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max(), np.abs(a - b).max()
print(VECTOR_BYTES)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "features", "width"),
    [("x86-64-v3", "+avx,+avx2,+fma,+bmi,+bmi2", "32"), ("x86-64", "+sse2", "16")],
)
def test_other_processors(tmp_path: Any, name: str, features: str, width: str) -> None:
    import platform

    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("of another family than this machine's")
    done = run_python(
        OTHER_PROCESSOR,
        NUMBA_CPU_NAME=name,
        NUMBA_CPU_FEATURES=features,
        NUMBA_CACHE_DIR=str(tmp_path),
    )
    assert done.stdout.strip() == width, done.stderr
