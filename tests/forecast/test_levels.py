"""Quantiles between and beyond those that were learned, and how wide bands are made."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from fastlstm.forecast.calibration import Calibration
from fastlstm.forecast.levels import at_levels, with_median


def test_quantiles_of_a_normal_distribution_go_on() -> None:
    normal = NormalDist(5, 2)
    known = [0.1, 0.5, 0.8]
    values = np.array([[normal.inv_cdf(level) for level in known]])
    wanted = [0.01, 0.1, 0.3, 0.5, 0.99]
    found = at_levels(values, known, wanted)
    assert np.allclose(found, [[normal.inv_cdf(level) for level in wanted]])
    assert found[0, 3] == values[0, 1]
    assert at_levels(values[:, 1:2], [0.5], [0.1, 0.9]).tolist() == [[5, 5]]


def test_the_median_is_always_learned() -> None:
    assert with_median((0.1, 0.9)) == [0.1, 0.5, 0.9]
    assert with_median((0.5,)) == [0.5]


def test_calibrated_quantiles_stay_in_order_around_the_median() -> None:
    values = np.array([[[[-2.0, -1, 0, 1, 3]]]])
    factors = np.array([[1.0, 4, 1, 2, 0.5]])
    found = Calibration(factors)(values, 2)[0, 0, 0]
    assert found.tolist() == [-4, -4, 0, 2, 2]
    assert Calibration()(values, 2) is values
