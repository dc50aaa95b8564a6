"""Scales and back, with missing values, and never to infinity."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.forecast.scaling import KINDS, Scale
from fastlstm.train.spread import divisor


@pytest.mark.parametrize("kind", KINDS)
def test_a_scale_leads_there_and_back(kind: str) -> None:
    y = np.array([[0.0, 4], [3, 4], [np.nan, 4], [90, 4]])
    scale = Scale.of(y, kind)
    there = scale.there(y)
    assert np.allclose(np.nanmean(there, axis=0), 0)
    assert np.allclose(np.nanstd(there, axis=0), [1, 0])
    assert np.allclose(scale.back(there[None])[0], y, equal_nan=True)
    assert np.allclose(scale.back(there[None, ..., None])[0, ..., 0], y, equal_nan=True)
    assert np.isfinite(scale.back(np.full((1, 1, 2), 1e9))).all()
    if kind != "linear":
        assert (scale.back(np.full((1, 1, 2), -9.0)) == 0).all()


def test_a_linear_scale_is_mean_and_spread() -> None:
    scale = Scale.of(np.array([[1.0, 4], [3, 4], [np.nan, 4]]), "linear")
    assert scale.mean.tolist() == [2, 4]
    assert scale.spread.tolist() == [1, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 0.1, 7.3, 1e9])
def test_a_constant_column_has_the_spread_1_though_its_mean_is_rounded(
    kind: str, value: float
) -> None:
    y = np.full((301, 1), value)
    y[5] = np.nan
    assert Scale.of(y, kind).spread.tolist() == [1]
    values = np.full((40, 2), value)
    values[:, 1] += np.arange(40) % 2
    assert divisor(values.std(axis=0), values).tolist() == pytest.approx([1, 0.5])
