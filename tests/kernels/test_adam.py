"""One step of Adam: every backend against torch's formula, dense and on some rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, SIZES, Array
from checks import assert_close

from fastlstm.kernels.adam import WeightSum

SETTINGS = {"rate": 0.01, "root": 1.3, "eps": 1e-8, "beta1": 0.9, "beta2": 0.99}
# A few operations an element: far above their rounding, far below a mistake.
ALLOWED = {F32: 2e-6, F64: 1e-14}


def definition(
    arrays: list[Array], shrink: float = 1.0, decay: float = 0.0, scale: float = 1.0, **s: float
) -> list[Array]:
    p, m, v, g = (a.astype(F64) for a in arrays)
    p = shrink * p
    g = scale * g + decay * p
    m = s["beta1"] * m + (1 - s["beta1"]) * g
    v = s["beta2"] * v + (1 - s["beta2"]) * g * g
    return [p - s["rate"] * m / (s["root"] * np.sqrt(v) + s["eps"]), m, v]


def draw(shape: tuple[int, ...], dtype: Any) -> list[Array]:
    p, m, v, g = np.random.default_rng(0).standard_normal((4, *shape)).astype(dtype)
    return [p, m, np.abs(v), g]


OPTIONS = [{}, {"shrink": 0.9}, {"decay": 0.1}, {"scale": 0.3}]
OPTIONS += [{"shrink": 0.9, "decay": 0.1, "scale": 0.7}]


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_dense(kernel: Kernel, options: dict[str, float], dtype: Any) -> None:
    for shape in [(n,) for n in SIZES] + [(1024,), (1025,), (3, 700), (130, 1000)]:
        arrays = draw(shape, dtype)
        expected = definition(arrays, **options, **SETTINGS)
        kernel.adam(*arrays, None, **options, **SETTINGS, n_threads=2)
        for name, a, e in zip("pmv", arrays, expected, strict=False):
            assert_close(a, e, ALLOWED[dtype], f"{name} {shape}")


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_first_moments_are_as_exact_as_their_gradient(kernel: Kernel, dtype: Any) -> None:
    """1 - beta2 is small, so it may not come from a beta2 that was rounded to the dtype."""
    p, m, v, g = draw((33,), dtype)
    m[:] = v[:] = 0
    settings = {**SETTINGS, "beta1": 0.99, "beta2": 0.99999}
    expected = definition([p, m, v, g], **settings)
    kernel.adam(p, m, v, g, None, **settings)
    for a, e in zip((p, m, v), expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=ALLOWED[dtype])


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_some_rows(kernel: Kernel, options: dict[str, float], dtype: Any) -> None:
    for width in SIZES:
        p, m, v, _ = before = draw((9, width), dtype)
        index, g = np.array([0, 3, 8]), draw((3, width), dtype)[3]
        expected = [a.astype(F64) for a in (p, m, v)]
        changed = definition([a[index] for a in (p, m, v)] + [g], **options, **SETTINGS)
        for e, rows in zip(expected, changed, strict=True):
            e[index] = rows
        untouched = np.delete(np.stack(before[:3]), index, axis=1)
        kernel.adam(p, m, v, g, index, **options, **SETTINGS)
        for name, a, e in zip("pmv", (p, m, v), expected, strict=True):
            assert_close(a, e, ALLOWED[dtype], f"{name} of width {width}")
        np.testing.assert_array_equal(np.delete(np.stack([p, m, v]), index, axis=1), untouched)


def test_rows_equal_the_dense_step_and_any_threads(kernel: Kernel) -> None:
    results = []
    for index, n_threads in [(None, 1), (None, 3), (np.arange(900), 1), (np.arange(900), 3)]:
        arrays = draw((900, 77), F32)
        kernel.adam(*arrays, index, **SETTINGS, n_threads=n_threads)
        results.append(np.stack(arrays[:3]))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("row", [-1, 9])
def test_a_row_out_of_range_never_reaches_memory(native_kernel: Any, row: int) -> None:
    p, m, v, g = draw((9, 4), F32)
    with pytest.raises(IndexError, match=rf"index\[1\] is {row}, expected 0 to 8"):
        native_kernel.adam(p, m, v, g[:2], np.array([0, row]), **SETTINGS)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("rows", [None, np.array([0, 3, 8])], ids=["dense", "rows"])
def test_the_sum_of_weights(kernel: Kernel, rows: Any, dtype: Any) -> None:
    """Of the weights before the step, in the rows that it changes; which it changes as ever."""
    for width in (*SIZES, 1000):
        p, m, v, g = draw((9, width), dtype)
        plain, (old, *_) = [p.copy(), m.copy(), v.copy()], draw((9, width), dtype)
        g = g if rows is None else g[rows].copy()
        count = 1 if rows is None else len(rows)
        keep, add = np.linspace(0.1, 0.9, 2 * count).astype(dtype).reshape(2, -1)
        chosen = slice(None) if rows is None else rows
        expected = old.copy()
        expected[chosen] = old[chosen] * keep[:, None] + p[chosen] * add[:, None]
        kernel.adam(*plain, g, rows, **SETTINGS)
        kernel.adam(p, m, v, g, rows, **SETTINGS, total=WeightSum(old, keep, add), n_threads=2)
        assert_close(old, expected, ALLOWED[dtype], f"sum of width {width}")
        for a, b in zip((p, m, v), plain, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_would_be_written_to_a_copy_is_refused(native_kernel: Any) -> None:
    p, m, v, g = draw((9, 8), F32)
    one = np.ones(1, F32)
    with pytest.raises(ValueError, match="p has strides"):
        native_kernel.adam(p[:, ::2], m[:, ::2], v[:, ::2], g[:, ::2], None, **SETTINGS)
    with pytest.raises(ValueError, match=r"total\.sum has strides"):
        native_kernel.adam(
            p, m, v, g, None, **SETTINGS, total=WeightSum(np.asfortranarray(p), one, one)
        )
    total = WeightSum(p.copy(), one, one)
    with pytest.raises(ValueError, match=r"total\.keep has shape \(1,\), expected \(2,\)"):
        native_kernel.adam(p, m, v, g[:2], np.array([0, 1]), **SETTINGS, total=total)
