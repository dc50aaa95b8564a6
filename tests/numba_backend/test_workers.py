"""Parts on threads: refused ones, exceptions and exits while they run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="one thread there")

# A forward and a backward of two parts, and what they must give.
WORK = """
import os, signal, sys, threading
import numpy as np
import pthreads
from fastlstm.kernels import CELLS, Call, Gradients, Rows, Weights, backend
from fastlstm.kernels.adam import AdamNumbers, AdamStep

def run(n_threads, T=60, N=64, I=48, H=48):
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape).astype("f4")
    w = Weights(draw(3 * H, I), draw(3 * H, H), draw(3 * H), draw(3 * H))
    x, y, dx = draw(T, N, I), np.empty((T, N, H), "f4"), np.empty((T, N, I), "f4")
    grads = Weights(*(np.zeros_like(a) for a in w[:4]))
    call = Call(x, (draw(N, H),), w, Rows(T, N), y, save=True, n_threads=n_threads)
    (h_n,), saved = NUMBA.forward(CELLS["gru"], call)
    (dh,), _ = NUMBA.backward(saved, Gradients(y, (None,), grads, dx, n_threads=n_threads))
    return [y, h_n, dx, dh, *grads[:4]]

def step(n_threads):
    rng = np.random.default_rng(0)
    p, m, v, g = rng.random((4, 900, 1024), np.float32)
    numbers = AdamNumbers(0.1, 1.0, eps=1e-8, beta1=0.9, beta2=0.99, n_threads=n_threads)
    NUMBA.adam(AdamStep(p, m, v, g, None, numbers))
    return [p, m, v]

def same(found, expected):
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))

NUMBA = backend("numba")
"""


def run_python(code: str, timeout: float = 600) -> str:
    """Run code after WORK in a process that must end by itself; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", WORK + code],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_refused_thread_leaves_its_part_to_the_caller() -> None:
    code = """
started = pthreads.watch(refuse=True)
refused = run(2), step(2)
assert len(started) >= 2 and all(started), started
assert same(refused[0], run(1)) and same(refused[1], step(1))
print("same")
"""
    assert run_python(code) == "same"


def test_threads_end_with_the_call() -> None:
    code = """
started = pthreads.watch()
run(1)
before = len(os.listdir("/proc/self/task"))
run(2)
assert started and not any(started)
print(len(os.listdir("/proc/self/task")) - before, threading.active_count())
"""
    if not Path("/proc/self/task").exists():
        pytest.skip("no list of threads there")
    assert run_python(code) == "0 1"


INTERRUPTS = """
rng = np.random.default_rng(SEED)
expected = run(1), step(1)

class Stop(Exception):
    pass

def stop(*_):
    global armed
    if armed:
        armed = False
        raise Stop

signal.signal(signal.SIGALRM, stop)
stopped, armed = 0, False
signal.setitimer(signal.ITIMER_REAL, 1e-3, 1.3e-3)
for _ in range(COUNT):
    try:
        rest = int(rng.integers(3))
        while True:
            armed = rest == 0
            rest -= 1
            run(2), step(2)
    except Stop:
        stopped += 1
    assert same(run(2), expected[0]), f"run after {stopped}"
    assert same(step(2), expected[1]), f"step after {stopped}"
signal.setitimer(signal.ITIMER_REAL, 0)
print(stopped == COUNT)
"""


@pytest.mark.parametrize("seed", range(2))
def test_results_after_interrupts_are_right(seed: int) -> None:
    code = INTERRUPTS.replace("SEED", str(seed)).replace("COUNT", "40")
    assert run_python(code) == "True"


def test_the_process_ends_while_parts_run_in_a_daemon_thread() -> None:
    code = """
run(2)
begun = threading.Event()
def work():
    while True:
        run(2, T=400)
        begun.set()
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
print("end")
"""
    for _ in range(3):
        assert run_python(code) == "end"


def test_ctrl_c_ends_the_process() -> None:
    code = """
run(2)
print("ready", flush=True)
while True:
    run(2)
"""
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WORK + code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            try:
                _, error = process.communicate(timeout=600)
            finally:
                process.kill()  # if Ctrl-C was lost it would run for ever
        assert process.returncode == -signal.SIGINT
        assert error.splitlines()[-1] == "KeyboardInterrupt"
