"""Numbers of series as users have them, and those that are refused."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

import numpy as np
import pytest

from fastlstm.forecast import find_season, naive_error, seasonal_naive
from fastlstm.forecast.series import read_known, read_series
from fastlstm.forecast.stamps import as_stamps
from fastlstm.forecast.values import read_targets


def test_what_is_masked_is_missing() -> None:
    y = np.ma.masked_array([1, 99, 3], [False, True, False])
    found = read_series("y", y, np.ma.masked_array([1.0, 2, 3]))
    assert np.array_equal(found.y[:, 0], [1, np.nan, 3], equal_nan=True)
    with pytest.raises(ValueError, match=r"X\[1, 0\] is nan, expected a finite number"):
        read_series("y", y, y)
    t = np.arange(120)
    wave = np.sin(2 * np.pi * t / 12)
    spoiled = np.where(t % 50 == 7, 1e6, wave)
    assert find_season(np.ma.masked_array(spoiled, t % 50 == 7)) == 12


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_numbers_without_squares_are_refused(size: float) -> None:
    y = np.random.default_rng(0).normal(size=(50, 2))
    y[:, 1] *= size
    told = (
        r"has .*e[+-]\d+ for the largest number of column 1, expected 1e-100 to 1e\+100: scale it"
    )
    with pytest.raises(ValueError, match="y " + told):
        read_series("y", y)
    with pytest.raises(ValueError, match="X " + told):
        read_series("y", y[:, 0], y)
    with pytest.raises(ValueError, match="y has"):
        find_season(y[:, 1])
    assert read_series("y", np.zeros((5, 1))).y.shape == (5, 1)


@pytest.mark.parametrize("level", [2**60, 2.0**60, -(2.0**60)])
def test_what_float64_does_not_tell_apart_is_refused(level: float) -> None:
    change = np.random.default_rng(0).integers(0, 9000, 50)
    with pytest.raises(ValueError, match="in column 0, beside which float64 does not tell"):
        read_series("y", change + level)
    assert read_series("y", 1000 * change + level).y.shape == (50, 1)
    assert read_series("y", np.full(50, level)).y.shape == (50, 1)


@pytest.mark.parametrize(
    ("y", "error", "told"),
    [
        (["a", "b"], TypeError, "y has dtype <U1"),
        ([1.0, np.inf, 2.0], ValueError, "y holds infinite numbers"),
        (np.zeros((3, 3, 3)), TypeError, "shape \\(3, 3, 3\\)"),
    ],
)
def test_a_season_of_no_series(y: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        find_season(y)


def test_stamps_are_lists_of_times_too() -> None:
    expected = np.array(["2024-01-01T05", "2024-01-02T05"], "datetime64[us]")
    times = [datetime(2024, 1, 1, 5), datetime(2024, 1, 2, 5)]
    assert (as_stamps("stamps", times) == expected).all()
    days = as_stamps("stamps", [date(2024, 1, 1), date(2024, 1, 2)])
    assert (days == expected.astype("datetime64[D]")).all()
    zoned = [time.replace(tzinfo=timezone.utc) for time in times]
    with pytest.raises(ValueError, match="stamps has times with a zone"):
        as_stamps("stamps", zoned)
    with pytest.raises(TypeError, match="stamps has dtype object"):
        as_stamps("stamps", [times[0], 5])


def test_naive_forecasts_of_lists_and_of_what_has_none() -> None:
    assert seasonal_naive([1, 2, 3], 5, 2).tolist() == [2, 3, 2, 3, 2]
    with pytest.raises(ValueError, match=r"y has shape \(0,\), expected a value at least"):
        seasonal_naive([], 3)
    with pytest.raises(ValueError, match="season is 0, expected at least 1"):
        seasonal_naive([1.0], 3, 0)
    with pytest.raises(ValueError, match="horizon is 0, expected at least 1"):
        seasonal_naive([1.0], 0)
    with pytest.raises(ValueError, match="season is 0, expected at least 1"):
        naive_error([1.0, 2], 0)


def test_what_is_not_finite_is_told_by_its_column() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"p": np.arange(3.0), "q": [1.0, np.inf, 2.0]})
    with pytest.raises(ValueError, match=r"y holds infinite .* y\[1, 1\] in the column 'q',"):
        read_targets("y", table)
    with pytest.raises(ValueError, match=r"first in y\[1\], expected"):
        read_targets("y", table["q"])
    with pytest.raises(ValueError, match=r"X\[1, 1\] in the column 'q' is inf"):
        read_known("X", table, 3)
