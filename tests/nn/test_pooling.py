"""Pooling of a layer's outputs: several side by side, gradients against differences."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from bound import Kernel
from cases import draw_lengths

from fastlstm.kernels import Rows
from fastlstm.nn.pooling import POOLINGS, pool, pool_backward

T, N, H = 5, 6, 4
CHOICES = [names for k in (1, 2, 3) for names in permutations(POOLINGS, k)]


def draw() -> tuple[np.ndarray, np.ndarray, Rows]:
    rng = np.random.default_rng(0)
    rows = Rows(T, N, draw_lengths(rng, T, N))
    y = rng.standard_normal((T, N, 2 * H))
    y[np.arange(T)[:, None] >= rows.lengths] = 0
    return y, rng.standard_normal((2, N, H)), rows


@pytest.mark.parametrize("names", CHOICES, ids="+".join)
def test_features_stand_side_by_side(kernel: Kernel, names: tuple[str, ...]) -> None:
    y, h_n, rows = draw()
    features, _ = pool(kernel, names, y, h_n, rows)
    for name, part in zip(names, np.split(features, len(names), axis=1), strict=True):
        for n, length in enumerate(rows.lengths):
            real = y[:length, n] if length else np.zeros((1, 2 * H))
            expected = {"last": h_n[:, n].ravel(), "mean": real.mean(0), "max": real.max(0)}[name]
            np.testing.assert_allclose(part[n], expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("names", CHOICES, ids="+".join)
def test_gradients_against_differences(kernel: Kernel, names: tuple[str, ...]) -> None:
    y, h_n, rows = draw()
    rng = np.random.default_rng(1)
    real = (np.arange(T)[:, None] < rows.lengths)[..., None]
    along_y, along_h = rng.standard_normal(y.shape) * real, rng.standard_normal(h_n.shape)
    features, pooled = pool(kernel, names, y, h_n, rows)
    d = rng.standard_normal(features.shape)
    dy, dh_n = pool_backward(kernel, pooled, d)
    slope = 0.0 if dy is None else float(np.sum(np.where(real, dy, 0) * along_y))
    slope += 0.0 if dh_n is None else float(np.sum(dh_n * along_h))
    up, down = (
        float(np.sum(pool(kernel, names, y + s * along_y, h_n + s * along_h, rows)[0] * d))
        for s in (1e-6, -1e-6)
    )
    assert (up - down) / 2e-6 == pytest.approx(slope, rel=1e-7)
    assert (dh_n is None) == ("last" not in names)
    assert (dy is None) == (names == ("last",))
