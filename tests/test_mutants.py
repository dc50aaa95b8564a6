"""The suite's own checks fail for kernels with planted faults, and pass without."""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cases import F32, Case
from checks import (
    check_chunks,
    check_differences,
    check_every_difference,
    check_float_state,
    check_lengths_of_others,
    check_poison_stays,
    check_reference,
    check_row_independence,
    check_threads,
    check_tokens,
)

from fastlstm.kernels import Rows, Tokens, reference

CASE = Case(4, 5, 3, 8, ragged=True, seed=1)
CHECKS: dict[str, Callable[[Any], None]] = {
    "reference": lambda k: check_reference(k, CASE),
    "reference f32": lambda k: check_reference(k, CASE.with_dtype(F32)),
    "differences": lambda k: check_differences(k, CASE),
    "each difference": lambda k: check_every_difference(k, Case(2, 2, 2, 3)),
    "rows": lambda k: check_row_independence(k, CASE),
    "lengths": lambda k: check_lengths_of_others(k, CASE),
    "threads": lambda k: check_threads(k, CASE),
    "chunks": lambda k: check_chunks(k, CASE, [2]),
    "tokens": lambda k: check_tokens(k, CASE),
    "poison": lambda k: check_poison_stays(k, CASE, np.nan),
}


def copy_of_reference() -> Any:
    """The reference once more, to be changed without changing the oracle."""
    spec = importlib.util.spec_from_file_location("mutant", reference.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutant"] = module  # NamedTuple looks its module up
    spec.loader.exec_module(module)
    del sys.modules["mutant"]
    return module


def gates_swapped() -> ModuleType:
    """Gates i and f stand in each other's place: a cell of its own, forward and backward agree."""
    k = copy_of_reference()

    def swapped(a: Any) -> Any:
        if a is None:
            return None
        i, f, g, o = np.split(a, 4)
        return np.concatenate([f, i, g, o])

    forward = k.forward
    k.forward = lambda x, h0, c0, w, *rest, **options: forward(
        x, h0, c0, type(w)(*map(swapped, w)), *rest, **options
    )
    return k


def bias_gradient_dropped() -> ModuleType:
    k = copy_of_reference()
    backward = k.backward
    k.backward = lambda saved, dy, dh, dc, grads, *rest, **options: backward(
        saved, dy, dh, dc, grads._replace(b_hh=None), *rest, **options
    )
    return k


def step_skipped_in_backward() -> ModuleType:
    """The last step that backward reaches, the first in time, is left out."""
    k = copy_of_reference()
    steps = k.Rows.steps

    class FewerSteps(Rows):
        def steps(self, reverse: bool = False) -> Iterator[Any]:
            for s, (t, n) in enumerate(steps(self, reverse)):
                yield (t, n) if s else (t[:0], n[:0])

    backward = k.backward

    def skipping(saved: Any, *rest: Any, **options: Any) -> Any:
        kept = saved._kept[0]
        saved._kept[0] = kept._replace(rows=FewerSteps(kept.rows.T, kept.rows.N, kept.rows.lengths))
        return backward(saved, *rest, **options)

    k.backward = skipping
    return k


def length_off_by_one() -> ModuleType:
    k = copy_of_reference()
    forward = k.forward

    def shorter(x: Any, h0: Any, c0: Any, w: Any, rows: Rows, *rest: Any, **options: Any) -> Any:
        lengths = rows.lengths.copy()
        longest = np.argmax(lengths)
        lengths[longest] = max(lengths[longest] - 1, 0)
        return forward(x, h0, c0, w, Rows(rows.T, rows.N, lengths), *rest, **options)

    k.forward = shorter
    return k


def longest_row_reaches_others() -> ModuleType:
    """The number of steps of the longest row changes the last bits of all rows."""
    k = copy_of_reference()
    forward = k.forward

    def reaching(x: Any, h0: Any, c0: Any, w: Any, rows: Rows, *rest: Any, **options: Any) -> Any:
        c0 = c0 * (1 + 1e-15 * rows.n_at.sum())
        return forward(x, h0, c0, w, rows, *rest, **options)

    k.forward = reaching
    return k


def poison_spreads() -> ModuleType:
    """Gates are scaled by a sum over the batch, which NaN in one row makes NaN for all."""
    k = copy_of_reference()
    by_row = k.by_row
    k.by_row = lambda weight, x: by_row(weight, x) + 0 * x.sum()
    return k


def neighbours_mixed() -> ModuleType:
    """One row's last bits depend on the row beside it."""
    k = copy_of_reference()
    by_row = k.by_row

    def mixing(weight: Any, x: Any) -> Any:
        z = by_row(weight, x)
        if len(z) > 1:
            z[0] += 1e-15 * z[1]
        return z

    k.by_row = mixing
    return k


def a_product_of_all_rows() -> ModuleType:
    """Products by BLAS over all rows at once: right to rounding, but a row's bits may change."""
    k = copy_of_reference()
    k.by_row = lambda weight, x: x @ weight.T
    return k


def threads_change_sums() -> ModuleType:
    k = copy_of_reference()
    backward = k.backward

    def summing(*arguments: Any, n_threads: int = 1, **options: Any) -> Any:
        result = backward(*arguments, **options)
        arguments[4].w_hh[...] *= 1 + 1e-15 * n_threads
        return result

    k.backward = summing
    return k


def state_lost_between_chunks() -> ModuleType:
    k = copy_of_reference()
    forward = k.forward
    k.forward = lambda x, h0, c0, *rest, **options: forward(x, h0, 0 * c0, *rest, **options)
    return k


def tokens_of_another_row() -> ModuleType:
    k = copy_of_reference()
    forward = k.forward

    def turned(x: Any, *rest: Any, **options: Any) -> Any:
        return forward(
            Tokens(x.ids[:, ::-1], x.table) if hasattr(x, "ids") else x, *rest, **options
        )

    k.forward = turned
    return k


MUTANTS: dict[Callable[[], ModuleType], set[str]] = {
    gates_swapped: {"reference", "reference f32"},
    bias_gradient_dropped: {"reference", "reference f32", "differences", "each difference"},
    step_skipped_in_backward: {"reference", "reference f32", "differences", "each difference"},
    length_off_by_one: {"reference", "reference f32", "rows"},
    longest_row_reaches_others: {"rows", "lengths"},
    poison_spreads: {"poison"},
    neighbours_mixed: {"rows"},
    a_product_of_all_rows: {"rows"},
    threads_change_sums: {"threads"},
    state_lost_between_chunks: {"reference", "chunks"},
    tokens_of_another_row: {"tokens"},
}


@pytest.mark.parametrize("check", CHECKS)
def test_without_a_fault_each_check_passes(check: str) -> None:
    CHECKS[check](copy_of_reference())


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
def test_each_fault_is_found(mutant: Callable[[], ModuleType]) -> None:
    for check in MUTANTS[mutant]:
        with pytest.raises(AssertionError):
            CHECKS[check](mutant())


# Where glibc keeps the flag in fenv_t: byte offset, bits of flush-to-zero.
FLUSH = {"x86_64": (28, 0x8040), "aarch64": (0, 1 << 24)}


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in FLUSH, reason="needs glibc's fenv_t"
)
def test_a_flag_left_set_is_found() -> None:
    """FTZ not restored: really set, seen by its effect alone, then put back."""
    libm = ctypes.CDLL("libm.so.6")
    before, flushing = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    libm.fegetenv(before)
    offset, bits = FLUSH[platform.machine()]
    flushing.raw = before.raw
    word = int.from_bytes(before.raw[offset : offset + 4], sys.byteorder) | bits
    flushing[offset : offset + 4] = word.to_bytes(4, sys.byteorder)  # type: ignore[assignment]
    check_float_state(lambda: None, None)
    try:
        with pytest.raises(AssertionError, match="denormals are flushed"):
            check_float_state(lambda: libm.fesetenv(flushing), None)
    finally:
        libm.fesetenv(before)
    check_float_state(lambda: None, None)


def test_a_changed_register_is_found() -> None:
    reads = iter([0x1F80, 0x9FC0])
    with pytest.raises(AssertionError, match="floating-point state"):
        check_float_state(lambda: None, lambda: next(reads))
