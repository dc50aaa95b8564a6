"""What a kernel says it takes, against what it takes."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, NUMBA, Case, Problem, each_cell, make
from checks import run, run_forward
from contracts import draw_tokens

from fastlstm.kernels import Rows, Tokens
from fastlstm.kernels.sizes import MemoryUse
from fastlstm.kernels.spec import Activation

pytestmark = pytest.mark.pairs

# Python's own objects.
SLACK = 42_000
RECOMPUTE = (0, 1, 4, 20, 30)
CASES = [
    Case(20, 40, 30, 48, dtype=F32),
    Case(20, 50, 20, 40, ragged=True, reverse=True, dtype=F64),
    Case(20, 40, 30, 64, proj=16, ragged=True, reset=True, dtype=F32),
]


def plan(
    kernel: Kernel, case: Case, p: Problem, tokens: Tokens | None, K: int, n_threads: int = 1
) -> MemoryUse:
    proj = 0 if p.weights.w_hr is None else case.proj
    return kernel.memory(
        p.rows,
        case.I,
        case.H,
        proj_size=proj,
        tokens=0 if tokens is None else len(tokens.table),
        recompute=K,
        dtype=case.dtype,
        n_threads=n_threads,
    )


def size_of(arrays: Any) -> int:
    return sum(a.nbytes for a in arrays if a is not None)


def assert_holds(what: str, actual: int, planned: int, slack: int) -> None:
    """At most what was planned, and more than half of it: a plan must also be of use."""
    assert actual <= planned + slack, f"{what}: {actual} bytes, planned {planned}"
    assert 2 * actual + slack >= planned, f"{what}: {actual} bytes, planned {planned}"


class Traced:
    """Bytes that Python and NumPy have taken since it began, now and at most since `start`."""

    def __enter__(self) -> Traced:
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()

    def start(self) -> int:
        tracemalloc.reset_peak()
        return self.now()

    def now(self) -> int:
        return tracemalloc.get_traced_memory()[0]

    def peak(self) -> int:
        return tracemalloc.get_traced_memory()[1]


@pytest.fixture
def traceable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the Numba backend take NumPy's memory, not that of the compiled extension."""
    if find_spec("numba"):
        monkeypatch.setattr("fastlstm.kernels.numba.layer.empty", np.empty)


@pytest.mark.usefixtures("traceable")
@each_cell
@pytest.mark.parametrize("with_tokens", [False, True], ids=["dense", "tokens"])
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("backend_isa", ["reference", NUMBA], indirect=True)
def test_what_python_allocates_keeps_to_it(kernel: Kernel, case: Case, with_tokens: bool) -> None:
    p = make(case, kernel.cell)
    tokens = draw_tokens(case) if with_tokens else None
    grads = p.weights.map(np.zeros_like)
    dx = np.zeros_like(p.x if tokens is None else tokens.table)
    for K in (0, 1):  # so that nothing is compiled below
        run(kernel, p, tokens, recompute=K)
    for K in RECOMPUTE:
        use = plan(kernel, case, p, tokens, K)
        with Traced() as traced:
            start = traced.start()
            out, saved = run_forward(kernel, p, tokens, save=True, recompute=K)
            kept = traced.now() - start - size_of(out.values())
            assert_holds(f"kept with {K}", kept, use.kept, SLACK)
            forward = traced.peak() - start - size_of([out["y"]])
            assert_holds(f"forward with {K}", forward, use.kept + use.forward, SLACK)
            start = traced.start()
            kernel.backward(saved, p.dy, p.dstate, grads, dx)
            backward = kept + traced.peak() - start
            assert_holds(f"backward with {K}", backward, use.kept + use.backward, SLACK)


@each_cell
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("with_tokens", [False, True], ids=["dense", "tokens"])
def test_native_keeps_to_it(cell: str, native: Any, with_tokens: bool, n_threads: int) -> None:
    """Freed blocks are kept for the next call, where they can be counted."""
    kernel = Kernel(cell, "native")
    case = Case(100, 64, 128, 256, ragged=True, proj=160, reset=True, dtype=F32)
    p = make(case, kernel.cell)
    tokens = draw_tokens(case) if with_tokens else None
    grads = p.weights.map(np.zeros_like)
    dx = np.zeros_like(p.x if tokens is None else tokens.table)
    for K in (0, 10, 200):
        use = plan(kernel, case, p, tokens, K, n_threads)
        native.trim()
        options = {"save": True, "recompute": K, "n_threads": n_threads}
        _, saved = run_forward(kernel, p, tokens, **options)
        assert_holds(f"forward with {K}", native.cached_bytes(), use.forward, SLACK)
        native.trim()
        kernel.backward(saved, p.dy, p.dstate, grads, dx, n_threads=n_threads)
        planned = use.kept + use.backward
        assert_holds(f"backward with {K}", native.cached_bytes(), planned, SLACK)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_large_weights_of_both_passes_share_a_block(native: Any, precision: str) -> None:
    kernel = Kernel("lstm", "native", precision)
    case = Case(6, 4, 640, 640, dtype=F32)
    p, weights = make(case, kernel.cell), 4 * 640 * 1280 * (2 if precision == "bfloat16" else 4)
    use = plan(kernel, case, p, None, 0)
    native.trim()
    whole = run(kernel, p)
    assert native.cached_bytes() <= use.kept + use.backward + use.forward - weights
    for name, value in run(kernel, p, recompute=2).items():
        np.testing.assert_array_equal(whole[name], value, err_msg=name)


@each_cell
def test_recomputing_keeps_less(kernel: Kernel) -> None:
    rows = Rows(100, 32, np.arange(32) * 3)
    uses = [kernel.memory(rows, 64, 64, recompute=K) for K in (0, 2, 10, 50)]
    kept = [use.kept for use in uses]
    assert kept == sorted(kept, reverse=True)
    assert kept[2] < kept[0] / 5
    whole = [use.kept + use.backward for use in uses]
    assert whole[2] < whole[0]


@each_cell
def test_it_grows_with_the_work(kernel: Kernel) -> None:
    small = kernel.memory(Rows(10, 8), 32, 32)
    ragged = kernel.memory(Rows(10, 8, [10, 1, 1, 1, 1, 1, 1, 1]), 32, 32)
    assert ragged.kept < small.kept / 2
    for larger in (
        kernel.memory(Rows(20, 8), 32, 32),
        kernel.memory(Rows(10, 16), 32, 32),
        kernel.memory(Rows(10, 8), 32, 64),
        kernel.memory(Rows(10, 8), 32, 32, dtype=F64),
    ):
        assert larger.kept >= 1.8 * small.kept


@each_cell
def test_what_a_call_would_refuse_has_none(kernel: Kernel) -> None:
    asked = Rows(2, 3), 4, 5
    if not kernel.cell.projects:
        with pytest.raises(ValueError, match="proj_size is 2, expected 0 for this cell"):
            kernel.memory(*asked, 2)
    kernel.cell = replace(kernel.cell, usual=False, activation=Activation("softsign"))
    with pytest.raises(ValueError, match="precision is 'bfloat16' with activation 'softsign'"):
        kernel.memory(*asked, precision="bfloat16")


MIB = 1 << 20


def block(native: Any, size: int) -> Any:
    """An array of so many MiB that nobody has written to."""
    return native.empty((size * MIB,), np.uint8)


def take_and_give_back(native: Any, *sizes: int) -> None:
    """Have blocks of so many MiB in use together, then none."""
    blocks = [block(native, size) for size in sizes]
    del blocks


def test_blocks_in_use_together_are_all_kept(native: Any) -> None:
    """More than 256 MiB too: fresh ones for every batch would cost more than its gate maths."""
    native.trim()
    for _ in range(3):
        take_and_give_back(native, 200, 150, 10)
        assert native.cached_bytes() >= 360 * MIB
    take_and_give_back(native, 199, 149, 9)
    assert native.cached_bytes() < 370 * MIB
    native.trim()


def test_sizes_that_alternate_do_not_add_up(native: Any) -> None:
    """What is kept and in use stays within a quarter of the most that was in use at a time."""
    native.trim()
    for size in (400, 49, 300, 36, 200, 24, 399):
        take_and_give_back(native, size)
        assert native.cached_bytes() <= 1.25 * 402 * MIB
    native.trim()


def test_a_small_block_does_not_take_a_large_one(native: Any) -> None:
    native.trim()
    take_and_give_back(native, 160)
    small = block(native, 19)
    assert native.cached_bytes() >= 160 * MIB
    middle = block(native, 21)
    assert native.cached_bytes() < MIB
    del small, middle
    native.trim()


def test_memory_of_one_large_call_is_given_back(native: Any) -> None:
    native.trim()
    take_and_give_back(native, 1000)
    assert native.cached_bytes() >= 1000 * MIB
    for _ in range(200_000):
        take_and_give_back(native, 1)
    assert native.cached_bytes() <= 256 * MIB
    native.trim()
