"""The measures of forecasts against numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastlstm.forecast import coverage, mae, mase, naive_error, seasonal_naive, smape
from fastlstm.forecast.naive import seasonal_naive_at


def test_measures_by_hand() -> None:
    actual, forecast = [1.0, 2.0, 0.0, 4.0], [2.0, 2.0, 0.0, 2.0]
    assert mae(actual, forecast) == 0.75
    assert smape(actual, forecast) == pytest.approx((200 / 3 + 0 + 0 + 400 / 6) / 4)
    assert naive_error([1, 3, 2, 7], season=2) == 2.5
    assert naive_error([1, 3], season=2) == 2
    assert mase(actual, forecast, 2.5) == 0.3
    assert coverage(actual, [0, 2, 1, 0], [1, 3, 2, 3]) == 0.5


def test_missing_values_count_nowhere() -> None:
    actual = [1.0, np.nan, 3.0]
    assert mae(actual, [2.0, 9.0, 3.0]) == 0.5
    assert coverage(actual, [0, 0, 5], [2, 2, 6]) == 0.5
    assert math.isnan(mae([np.nan], [1.0]))
    assert math.isnan(mase(actual, actual, 0.0))


def test_measures_refuse_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"forecast has shape \(2,\), expected \(3,\)"):
        mae([1.0, 2.0, 3.0], [1.0, 2.0])


def test_seasonal_naive_repeats_the_last_season() -> None:
    y = np.arange(10.0)
    assert seasonal_naive(y, 5, 3).tolist() == [7, 8, 9, 7, 8]
    assert seasonal_naive(y[:2], 3, 3).tolist() == [1, 1, 1]
    at = seasonal_naive_at(y, np.array([2, 10]), 5, 3)
    assert at.tolist() == [[1] * 5, [7, 8, 9, 7, 8]]
