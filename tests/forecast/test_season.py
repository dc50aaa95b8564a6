"""Seasons found in series, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.forecast import find_season
from fastlstm.forecast.calendar import cycles
from fastlstm.forecast.framing import common_season
from fastlstm.forecast.profile import profile, profile_lag
from fastlstm.forecast.season import filled
from fastlstm.forecast.series import read_series
from fastlstm.forecast.stamps import Spacing


@pytest.mark.parametrize("season", [7, 12, 24, 52, 168])
def test_a_season_in_noise_on_a_trend_is_found(season: int) -> None:
    rng = np.random.default_rng(season)
    t = np.arange(8 * season)
    shape = rng.normal(size=season)
    assert find_season(0.02 * t + 3 * shape[t % season] + rng.normal(size=len(t))) == season


def test_a_long_smooth_season_is_found_nearly() -> None:
    rng = np.random.default_rng(1)
    t = np.arange(3650)
    noise = np.convolve(rng.normal(0, 2, len(t) + 5), 0.6 ** np.arange(6), "valid")
    assert abs(find_season(11 + 4.5 * np.cos(2 * np.pi * t / 365) + noise) - 365) < 25


@pytest.mark.parametrize("seed", range(6))
def test_noise_and_random_walks_have_no_season(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=1500)
    assert find_season(noise) == 1
    assert find_season(np.cumsum(noise)) == 1
    assert find_season(np.full(100, 3.0)) == 1
    assert find_season(noise[:5]) == 1


def test_a_season_is_found_despite_missing_values() -> None:
    t = np.arange(240)
    y = np.sin(2 * np.pi * t / 24) + np.random.default_rng(0).normal(0, 0.2, 240)
    y[[0, 5, 6, 100]] = np.nan
    assert find_season(y) == 24
    assert filled(y)[[0, 5, 6]].tolist() == [y[1], y[4], y[4]]
    assert filled(np.full((3, 1), np.nan)).tolist() == [[0]] * 3


@pytest.mark.parametrize(("season", "horizon"), [(4, 3), (4, 9), (240, 24)])
def test_the_usual_course_reads_nothing_after_the_origin(season: int, horizon: int) -> None:
    rng = np.random.default_rng(0)
    T = 5 * season + 3
    y = rng.normal(size=(T, 2))
    origin = 4 * season
    before = profile(y, season, horizon, horizon)
    changed = y.copy()
    changed[origin:] += 100
    after = profile(changed, season, horizon, horizon)
    assert np.array_equal(before[: origin + horizon], after[: origin + horizon], equal_nan=True)
    lag = profile_lag(season, horizon)
    assert np.isnan(before[:lag]).all()
    assert np.isfinite(before[lag:]).all()
    assert not np.array_equal(before[-1], after[-1]) or origin + lag > T + horizon


def test_the_usual_course_of_a_pure_season_is_the_season() -> None:
    y = np.tile([[1.0], [5.0], [2.0]], (6, 1))
    found = profile(y, 3, 2, 3)
    assert np.allclose(found[3:], np.tile(y[:3], (6, 1)))


def test_the_season_of_hours_is_the_day_though_the_year_is_stronger() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(4 * 2190)
    y = 5 * np.sin(2 * np.pi * t / 2190) + 0.3 * np.sin(2 * np.pi * t / 24)
    y += rng.normal(0, 0.3, len(t))
    assert abs(find_season(y, longest=2500) - 2190) < 200
    stamps = np.datetime64("2024-01-01T00") + t.astype("timedelta64[h]")
    assert common_season([read_series("y", y, None, stamps)]) == 24


def test_a_season_near_one_of_the_calendar_is_that_one() -> None:
    rng = np.random.default_rng(1)
    t = np.arange(3650)
    noise = np.convolve(rng.normal(0, 2, len(t) + 5), 0.6 ** np.arange(6), "valid")
    days = np.datetime64("2014-01-01") + t.astype("timedelta64[D]")
    year = 11 + 4.5 * np.cos(2 * np.pi * t / 365.25) + noise
    assert common_season([read_series("y", year, None, days)]) == 365
    shape = np.repeat([rng.normal(size=7)], 7, axis=0) + rng.normal(0, 0.5, (7, 7))
    weeks = np.tile(shape.reshape(-1), 20) + rng.normal(0, 0.1, 980)
    assert find_season(weeks) == 49
    assert common_season([read_series("y", weeks, None, days[:980])]) == 7
    hours = np.datetime64("2014-01-01T00") + t[:980].astype("timedelta64[h]")
    assert common_season([read_series("y", weeks, None, hours)]) in (7, 49)


@pytest.mark.parametrize(
    ("step", "count"),
    [("15 m", [96, 672, 35063]), ("1 h", [24, 168, 8765]), ("1 D", [7, 365]), ("7 D", [52]),
     ("1 M", [12]), ("3 M", [4]), ("12 M", [])],
)  # fmt: skip
def test_cycles_of_the_calendar_in_steps(step: str, count: list[int]) -> None:
    size, unit = step.split()
    months = unit == "M"
    length = int(size) if months else int(np.timedelta64(int(size), unit) / np.timedelta64(1, "us"))
    assert cycles(Spacing(length, months)) == count


def test_a_season_is_found_in_any_list_of_numbers() -> None:
    t = np.arange(240)
    y = 10 * np.sin(2 * np.pi * t / 12) + np.random.default_rng(0).normal(size=240)
    assert find_season(y.tolist()) == find_season(y[:, None]) == find_season(y.astype(int)) == 12
    with pytest.raises(ValueError, match=r"y has shape \(240, 2\), expected one series"):
        find_season(np.stack([y, y], axis=1))
    pandas = pytest.importorskip("pandas")
    assert find_season(pandas.Series(y, index=pandas.date_range("2020-01-31", periods=240))) == 12


def test_the_highest_of_many_peaks_of_noise_is_no_season() -> None:
    found = [
        find_season(np.random.default_rng([5, seed]).normal(size=count))
        for count in (60, 150, 300)
        for seed in range(40)
    ]
    assert sum(season > 1 for season in found) <= 6  # of 120, as many as RISK says


@pytest.mark.parametrize("y", [np.arange(60), np.ones(60), np.arange(60) // 59])
def test_a_line_or_a_step_has_no_season(y: np.ndarray) -> None:
    assert find_season(y) == 1


@pytest.mark.parametrize("unit", [1e-97, 1e97])
def test_the_unit_of_a_series_does_not_change_its_season(unit: float) -> None:
    y = np.sin(np.arange(60) * np.pi / 3) + np.random.default_rng(0).normal(0, 0.1, 60)
    assert find_season(unit * y) == find_season(y) == 6
