"""What a kernel does to the process around it: floating-point state, GIL, threads, fork."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, Case, each_cell, make
from checks import check_float_state, others_run_beside, run, run_forward

pytestmark = pytest.mark.pairs

BIG = Case(20, 64, 64, 128, ragged=True, dtype=F32)


@each_cell
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_floating_point_state_comes_back(
    native: Any, native_kernel: Kernel, dtype: np.dtype[Any], n_threads: int
) -> None:
    for case in (Case(3, 9, 7, 17, dtype=dtype), BIG.with_dtype(dtype)):
        p = make(case, native_kernel.cell)

        def call(p: Any = p) -> None:
            run(native_kernel, p, n_threads=n_threads)

        call()  # sticky exception flags are set once
        check_float_state(call, native.mxcsr)


@each_cell
def test_floating_point_state_after_a_stream(native: Any, native_kernel: Kernel) -> None:
    p = make(Case(1, 3, 5, 8, dtype=F32), native_kernel.cell)
    stream = native_kernel.Stream([p.weights], 3)
    stream(p.x[0])
    check_float_state(lambda: stream(p.x[0]), native.mxcsr)


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
@pytest.mark.parametrize(("dtype", "tiny"), [(F32, 1e-40), (F64, 1e-310)], ids=str)
def test_denormals_are_flushed_inside(
    native_kernel: Kernel, dtype: np.dtype[Any], tiny: float
) -> None:
    """A state of denormals that a gate would keep as it is comes out as zero."""
    p = make(Case(3, 5, 4, 9, dtype=dtype), native_kernel.cell)
    for array in (p.x, *p.state, *p.weights.arrays()):
        if array is not None:
            array[...] = 0
    assert p.weights.b_ih is not None
    p.weights.b_ih[9:18] = 30  # the forget gate, or a GRU's z
    for array in p.state:
        array[...] = tiny
    out, _ = run_forward(native_kernel, p)
    for name in native_kernel.cell.states:
        assert not out[f"{name}_n"].any()


@each_cell
@pytest.mark.usefixtures("native")
def test_the_gil_is_released(cell: str) -> None:
    """By the code that calls the kernels, whatever their instruction set."""
    kernel = Kernel(cell, "native")
    H = 256 if len(kernel.cell.gates) > 1 else 768  # one gate is soon done
    p = make(Case(400, 64, 64, H, dtype=F32), kernel.cell)
    assert others_run_beside(lambda: run_forward(kernel, p))


@each_cell
@pytest.mark.parametrize(
    "case",
    [Case(9, 31, 16, 40, ragged=True, reset=True, dtype=F32), Case(1, 2, 64, 128, dtype=F32)],
    ids=["sequence", "one_step"],
)
def test_many_threads_at_once(compiled_kernel: Kernel, case: Case) -> None:
    problems = [make(replace(case, seed=s), compiled_kernel.cell) for s in range(6)]
    expected = [run(compiled_kernel, p) for p in problems]
    with ThreadPoolExecutor(6) as pool:
        jobs = [
            pool.submit(run, compiled_kernel, p, n_threads=2) for p in problems for _ in range(8)
        ]
        for k, job in enumerate(jobs):
            for name, value in job.result(timeout=600).items():
                np.testing.assert_array_equal(value, expected[k // 8][name], err_msg=name)


FORK = """
import multiprocessing, sys, warnings
import numpy as np
import fastlstm as fl

warnings.simplefilter("ignore", DeprecationWarning)  # "multi-threaded, use of fork": the point
fl.set_num_threads(2)
lstm = fl.LSTM(64, 128, rng=np.random.default_rng(0))
x = np.random.default_rng(1).standard_normal((40, 64, 64)).astype("float32")

def use(_):
    y, _, tape = lstm.forward(x)
    dx, _ = lstm.backward(tape, y)
    steps = sum(float(lstm(x[:1, n : n + 1])[0].sum()) for n in range(64))
    return float(y.sum()), float(dx.sum()), steps

if __name__ == "__main__":
    expected = use(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(use, range(4)).get(timeout=600) == [expected] * 4
    assert use(0) == expected
    print("same")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_fork_after_use(native: Any) -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == "same", done.stderr
