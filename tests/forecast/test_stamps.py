"""Evenly spaced times, what follows them, and the features of the calendar."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.forecast.calendar import Calendar
from fastlstm.forecast.stamps import as_stamps, check_even, find_spacing


@pytest.mark.parametrize(
    ("values", "following"),
    [
        (np.arange("2024-02-27", "2024-02-29", dtype="datetime64[D]"), "2024-02-29"),
        (np.arange("2024-01-01T00", "2024-01-01T05", dtype="datetime64[h]"), "2024-01-01T05"),
        (np.arange("2001-01", "2002-12", dtype="datetime64[M]"), "2002-12-01"),
        (np.arange("1990", "1999", dtype="datetime64[Y]"), "1999-01-01"),
        (np.array(["2023-11-30", "2023-12-31", "2024-01-31"], "datetime64[D]"), "2024-02-29"),
        (np.array(["2024-01-15T06", "2024-02-15T06"], "datetime64[h]"), "2024-03-15T06"),
        (np.array(["2024-03-01", "2024-06-01", "2024-09-01"], "datetime64[D]"), "2024-12-01"),
        (np.array(["2024-12-28", "2025-01-28", "2025-02-28"], "datetime64[D]"), "2025-03-28"),
        (np.array(["2025-02-28", "2025-03-28", "2025-04-28"], "datetime64[D]"), "2025-05-28"),
        (np.array(["2024-02-29", "2024-03-30", "2024-04-30"], "datetime64[D]"), "2024-05-30"),
        (np.array(["2024-02-29", "2025-02-28", "2026-02-28"], "datetime64[D]"), "2027-02-28"),
        (np.array(["2023-02-28", "2024-02-28", "2025-02-28"], "datetime64[D]"), "2026-02-28"),
        (np.array(["2021-02-01", "2021-03-01", "2021-03-29"], "datetime64[D]"), "2021-04-26"),
    ],
)
def test_stamps_go_on(values: np.ndarray, following: str) -> None:
    stamps = as_stamps("stamps", values)
    assert check_even("stamps", stamps).after(stamps[-1], 2)[0] == np.datetime64(following)


@pytest.mark.parametrize("unit", ["h", "D", "M", "Y"])
def test_stamps_end_with_the_year_9999(unit: str) -> None:
    stamps = as_stamps("stamps", np.arange("1990", "1999", dtype=f"datetime64[{unit}]"))
    spacing = check_even("stamps", stamps)
    for count in (10**8, 10**12, 10**18):
        with pytest.raises(ValueError, match="go beyond the year 9999: forecast fewer"):
            spacing.after(stamps[-1], count)
    last = as_stamps("stamps", np.array(["9999"], "datetime64[Y]"))[0]
    assert str(spacing.after(last - np.timedelta64(2 * 366, "D"), 1)[0])[:3] == "999"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: np.delete(s, 5), r"stamps\[5\]: there is a gap from 2024-01-05"),
        (lambda s: np.insert(s, 5, s[5]), r"stamps\[6\]: .* comes twice"),
        (lambda s: s[[0, 1, 2, 4, 3, 5, 6]], r"stamps\[4\]: .* comes after .*: sort the rows"),
        (
            lambda s: np.sort(np.append(s, s[4] + np.timedelta64(9, "h"))),
            r"stamps\[5\]: .* too soon",
        ),
    ],
)
def test_stamps_out_of_step_are_named(change: object, told: str) -> None:
    stamps = as_stamps("stamps", np.arange("2024-01-01", "2024-01-12", dtype="datetime64[D]"))
    with pytest.raises(ValueError, match=told):
        check_even("stamps", change(stamps))  # type: ignore[operator]


def test_a_missing_month_is_a_gap() -> None:
    months = np.arange("2001-01", "2003-01", dtype="datetime64[M]")
    with pytest.raises(ValueError, match="gap from 2001-05-01 .* steps of a month"):
        check_even("stamps", as_stamps("stamps", np.delete(months, 5)))


@pytest.mark.parametrize("at", [0, 1, 5, 11])
def test_a_month_on_another_day_is_out_of_step(at: int) -> None:
    stamps = np.arange("2001-01", "2002-01", dtype="datetime64[M]").astype(
        "datetime64[D]"
    ) + np.timedelta64(14, "D")
    stamps[at] += np.timedelta64(2, "D")
    with pytest.raises(
        ValueError, match=rf"\[{at}\]: 2001-{at + 1:02}-17.*expected steps of a month"
    ):
        check_even("stamps", as_stamps("stamps", stamps))


def test_parts_of_a_second_that_were_rounded_are_even() -> None:
    parts = [int(seconds % 1 * 1e9) for seconds in 1704067200 + np.arange(10) / 10]
    assert 99_999_904 in parts  # of a tenth, as pandas has it
    exact = np.datetime64("2024-01-01T00:00:00", "ns") + np.array(parts, "timedelta64[ns]")
    stamps = as_stamps("stamps", exact)
    assert check_even("stamps", stamps).after(stamps[-1], 1) == np.datetime64("2024-01-01T00:00:01")


def test_texts_are_times_in_any_array() -> None:
    days = np.arange("2024-01-01", "2024-01-05", dtype="datetime64[D]")
    for given in (days.astype(str).tolist(), days.astype(str), days.astype(str).astype(object)):
        assert (as_stamps("stamps", given) == days).all()


def test_periods_are_times() -> None:
    pandas = pytest.importorskip("pandas")
    periods = pandas.period_range("2024-01", periods=3, freq="M")
    assert str(as_stamps("stamps", periods)[2]) == "2024-03-01T00:00:00.000000"


def test_stamps_must_be_times() -> None:
    with pytest.raises(TypeError, match="expected datetime64"):
        as_stamps("stamps", [1, 2, 3])
    with pytest.raises(ValueError, match=r"stamps\[1\] is missing"):
        as_stamps("stamps", np.array(["2024-01-01", "NaT"], "datetime64[D]"))
    with pytest.raises(ValueError, match="do not rise"):
        find_spacing(as_stamps("stamps", np.array(["2024", "2023"], "datetime64[Y]")))


def test_circles_are_those_the_series_goes_round() -> None:
    hours = as_stamps("s", np.arange("2024-01-01T00", "2024-03-01T00", dtype="datetime64[h]"))
    assert Calendar.of(hours).circles == ("hour", "weekday")
    assert Calendar.of(hours[:100]).circles == ("hour",)
    days = as_stamps("s", np.arange("2020-01-01", "2024-01-01", dtype="datetime64[D]"))
    assert Calendar.of(days).circles == ("weekday", "year")
    months = as_stamps("s", np.arange("2001-01", "2010-01", dtype="datetime64[M]"))
    assert Calendar.of(months).circles == ("year",)
    years = as_stamps("s", np.arange("1900", "2000", dtype="datetime64[Y]"))
    assert Calendar.of(years).features(years).shape == (100, 0)


def test_features_come_again_with_hour_weekday_and_year() -> None:
    hours = as_stamps("s", np.arange("2020-01-01T00", "2024-01-01T00", dtype="datetime64[h]"))
    calendar = Calendar.of(hours)
    found = calendar.features(hours)
    assert found.shape == (len(hours), calendar.size)
    assert calendar.size == 14
    hour, weekday, year = found[:, :4], found[:, 4:10], found[:, 10:]
    assert np.allclose(hour[:-24], hour[24:])
    assert np.array_equal(weekday[:-168], weekday[168:])
    assert np.array_equal(weekday[0], weekday[23])
    assert not np.allclose(weekday[0], weekday[24])
    assert np.allclose(year[0], year[8784], atol=1e-9)  # 2020 is a leap year
    assert np.allclose((found**2).sum(axis=1), calendar.size / 2)
