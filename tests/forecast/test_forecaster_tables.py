"""Tables of pandas: what their columns and their index say is believed, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pandas = pytest.importorskip("pandas")

from waves import wave  # noqa: E402

from fastlstm.notices import FastlstmWarning  # noqa: E402
from fastlstm.sklearn import LSTMForecaster  # noqa: E402
from fastlstm.train import checkpoint  # noqa: E402

STEPS = 200
DAYS = pandas.date_range("2024-01-01", periods=STEPS + 6, freq="D")


def linear(**params: Any) -> LSTMForecaster:
    """Return a forecaster without a net."""
    return LSTMForecaster(horizon=6, epochs=0, season=12, random_state=0, **params)


@pytest.fixture(scope="module")
def known() -> Any:
    """Return two features of all days, one of them large."""
    rng = np.random.default_rng(0)
    return pandas.DataFrame(
        {"price": rng.normal(size=len(DAYS)), "heat": 100 * rng.normal(size=len(DAYS))}, index=DAYS
    )


@pytest.fixture(scope="module")
def two(known: Any) -> LSTMForecaster:
    """A forecaster of two targets with two features."""
    return linear().fit(targets(known), known[:STEPS])


def targets(known: Any) -> Any:
    y = wave()[:STEPS] + 2 * known.price.to_numpy()[:STEPS]
    return pandas.DataFrame({"load": y, "loss": y * y}, index=DAYS[:STEPS])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda found, y, X: found.predict(X=X[["heat", "price"]][STEPS:]), "X"),
        (lambda found, y, X: found.predict(X=X[["heat", "price"]], y=y), "X"),
        (lambda found, y, X: found.predict(X=X, y=y[["loss", "load"]]), "y"),
        (lambda found, y, X: found.backtest(y, X=X[["heat", "price"]][:STEPS]), "X"),
        (lambda found, y, X: found.backtest(y[["loss", "load"]], X=X[:STEPS]), "y"),
        (
            lambda found, y, X: found.score(
                y[:6].set_axis(DAYS[STEPS:]), X[["heat", "price"]][STEPS:]
            ),
            "X",
        ),
        (
            lambda found, y, X: linear().fit([y, y], [X[:STEPS], X[["heat", "price"]][:STEPS]]),
            r"X\[1\]",
        ),
        (lambda found, y, X: linear().fit([y, y[["loss", "load"]]]), r"y\[1\]"),
    ],
)
def test_columns_in_another_order_than_in_fit_are_named(
    two: LSTMForecaster, known: Any, call: Callable[..., Any], name: str
) -> None:
    there = r"of [yX]\[0\]" if "[" in name else "in fit"
    told = f"column 0 of {name} is '(heat|loss)', which is column 1 {there}"
    with pytest.raises(ValueError, match=told):
        call(two, targets(known), known)


def test_a_kept_forecaster_knows_its_columns(
    two: LSTMForecaster, known: Any, tmp_path: Path
) -> None:
    two.save(tmp_path / "two.safetensors")
    kept = LSTMForecaster.load(tmp_path / "two.safetensors")
    assert np.array_equal(kept.predict(X=known), two.predict(X=known[STEPS:]))
    with pytest.raises(ValueError, match="column 0 of X is 'heat'"):
        kept.predict(X=known[["heat", "price"]])


def test_columns_may_have_other_names_than_in_fit(two: LSTMForecaster, known: Any) -> None:
    other = known.rename(columns={"price": "price expected"})
    pandas.testing.assert_frame_equal(two.predict(X=other), two.predict(X=known))


@pytest.mark.parametrize(
    ("index", "after"),
    [
        (np.arange(200) * 10 + 1990, [3990, 4000]),
        (np.arange(200) * 0.1, [20.0, 20.1]),
        (pandas.timedelta_range(0, periods=200, freq="3s"), pandas.to_timedelta([600, 603], "s")),
        (np.arange(200) ** 2, [39602, 39603]),
        (np.arange(200)[::-1], [200, 201]),
        ([f"step {n}" for n in range(200)], [200, 201]),
        (DAYS[:200].date, DAYS[200:202]),
        (DAYS[:200].tz_localize("Europe/Berlin").astype(object), DAYS[200:202]),
    ],
)
def test_an_index_goes_on_as_it_is(index: Any, after: Any) -> None:
    y = pandas.Series(wave()[:200], index=pandas.Index(index, name="when"))
    found = linear().fit(y).predict(2).index
    assert found.name == "when"
    if getattr(found, "tz", None) is not None:
        assert str(found.tz) == "Europe/Berlin"
        found = found.tz_localize(None)
    assert (found == after).all() or np.allclose(found, after)


def test_dates_of_python_are_times(known: Any) -> None:
    y = targets(known).load
    dates = y.set_axis(y.index.date)
    fitted = linear().fit(dates, known[:STEPS])
    pandas.testing.assert_series_equal(
        fitted.predict(X=known), linear().fit(y, known[:STEPS]).predict(X=known), check_freq=False
    )
    assert fitted.forecaster_.framing.calendar.circles == ("weekday",)
    assert fitted.backtest(dates, "2024-07-01", X=known[:STEPS]).origins[0] == 182


def test_an_index_of_several_levels_is_refused(known: Any) -> None:
    levels = pandas.MultiIndex.from_product([["a", "b"], DAYS[:100]])
    y = pandas.Series(wave()[:200], index=levels)
    with pytest.raises(ValueError, match="the index of y has 2 levels, as that of several series"):
        linear().fit(y)
    several = [one.droplevel(0) for _, one in y.groupby(level=0)]
    assert len(linear().fit(several).predict()) == 2


def test_texts_of_dates_in_an_index_are_told() -> None:
    y = pandas.Series(wave()[:200], index=DAYS[:200].strftime("%Y-%m-%d"))
    with pytest.warns(FastlstmWarning, match="such as '2024-01-01', which are not read as times"):
        linear().fit(y)


def test_other_steps_than_in_fit_are_refused(tmp_path: Path) -> None:
    y = pandas.Series(wave()[:200], index=DAYS[:200])
    hours = y.set_axis(pandas.date_range("2024-01-01", periods=200, freq="h"))
    fitted = linear(calendar=False).fit(y)
    fitted.save(tmp_path / "days.safetensors")
    for found in (fitted, LSTMForecaster.load(tmp_path / "days.safetensors")):
        with pytest.raises(ValueError, match="y has steps of 1:00:00, expected 1 day as in fit"):
            found.predict(y=hours)
        with pytest.raises(ValueError, match="y has steps of 1:00:00, expected 1 day as in fit"):
            found.backtest(hours)
        assert np.array_equal(found.predict(y=y.to_numpy()), fitted.predict())
    with pytest.raises(ValueError, match=r"y\[2\] has steps of 1:00:00, but y\[1\] of 1 day"):
        linear(calendar=False).fit([y.to_numpy(), y, hours])


def test_one_time_of_another_series_tells_no_steps() -> None:
    y = pandas.Series(wave()[:STEPS], index=DAYS[:STEPS])
    fitted = LSTMForecaster(horizon=6, epochs=0, context=1, season=1).fit(y)
    assert fitted.predict(y=y[:2]).index[0] == DAYS[2]
    with pytest.raises(ValueError, match="y has 1 step, expected at least 2: one time tells no"):
        fitted.predict(y=y[:1])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "+05:30", "UTC", None])
@pytest.mark.parametrize("freq", ["D", "h"])
def test_a_file_keeps_the_clock_of_a_series(
    known: Any, tmp_path: Path, zone: str | None, freq: str
) -> None:
    times = pandas.date_range("2024-01-01", periods=STEPS + 6, freq=freq, tz=zone)
    y, X = pandas.Series(wave()[:STEPS], index=times[:STEPS]), known.set_axis(times)
    fitted = linear().fit(y, X[:STEPS])
    fitted.save(tmp_path / "f.safetensors")
    kept = LSTMForecaster.load(tmp_path / "f.safetensors")
    elsewhere = X if zone is None else X.tz_convert("America/New_York")
    for rows in (X, elsewhere, X[STEPS : STEPS + 1], elsewhere[STEPS : STEPS + 1]):
        assert np.array_equal(kept.predict(1, X=rows), fitted.predict(1, X=rows))
    start = times[STEPS - 20].to_pydatetime()
    for found in (fitted, kept):
        assert found.backtest(y, start, X=X[:STEPS]).origins[0] == STEPS - 20
        after = pandas.Series(wave()[STEPS : STEPS + 1], index=times[STEPS : STEPS + 1])
        assert found.score(after, X[STEPS : STEPS + 1]) == fitted.score(after, X[STEPS:])
    if zone is not None:
        with pytest.raises(ValueError, match="the index of X has times without a zone"):
            kept.predict(X=X.tz_localize(None))


def test_a_file_keeps_the_numbers_of_an_index(known: Any, tmp_path: Path) -> None:
    X = known.reset_index(drop=True)
    fitted = linear().fit(pandas.Series(wave()[:STEPS]), X[:STEPS])
    fitted.save(tmp_path / "f.safetensors")
    kept = LSTMForecaster.load(tmp_path / "f.safetensors")
    for rows in (X, X[STEPS - 50 :], X[::-1]):
        assert np.array_equal(kept.predict(X=rows), fitted.predict(X=X[STEPS:]))


@pytest.mark.parametrize("zone", ["nowhere", "Europe", "../x", 1e9])
def test_a_file_of_a_zone_that_is_not_known_here_is_read(
    known: Any, tmp_path: Path, zone: object
) -> None:
    times = DAYS[: STEPS + 6].tz_localize("Europe/Berlin")
    X = known.set_axis(times)
    fitted = linear().fit(pandas.Series(wave()[:STEPS], index=times[:STEPS]), X[:STEPS])
    path = tmp_path / "f.safetensors"
    fitted.save(path)
    tensors, note = checkpoint.load(path, "forecaster")
    note["forecaster"]["series"][0]["index"]["zone"] = zone
    checkpoint.save(path, tensors, "forecaster", note)
    kept = LSTMForecaster.load(path)
    assert np.array_equal(kept.predict(X=X), fitted.predict(X=X))


def test_a_damaged_index_of_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "f.safetensors"
    linear().fit(pandas.Series(wave()[:STEPS])).save(path)
    tensors, note = checkpoint.load(path, "forecaster")
    short = {**tensors, "series0/numbers": tensors["series0/numbers"][:-1]}
    checkpoint.save(path, short, "forecaster", note)
    with pytest.raises(checkpoint.CheckpointError, match="but its index"):
        LSTMForecaster.load(path)


@pytest.mark.parametrize(
    ("y_zone", "X_zone", "told"),
    [
        (None, "UTC", "X has times of the zone UTC, but that of the series times without a zone"),
        ("Europe/Berlin", None, "X has times without a zone, .* times of the zone Europe/Berlin"),
    ],
)
def test_times_with_a_zone_and_without_are_not_set_beside_each_other(
    known: Any, y_zone: str | None, X_zone: str | None, told: str
) -> None:
    hours = pandas.date_range("2024-01-01", periods=STEPS + 6, freq="h")
    y = pandas.Series(wave()[:STEPS], index=hours[:STEPS].tz_localize(y_zone))
    own, other = (known.set_axis(hours.tz_localize(zone)) for zone in (y_zone, X_zone))
    fitted = linear().fit(y, own[:STEPS])
    with pytest.raises(ValueError, match=f"the index of {told}: bring both to one zone"):
        fitted.predict(X=other)
    with pytest.raises(ValueError, match=f"the index of {told}"):
        linear().fit(y, other[:STEPS])
    moved = y.set_axis(other.index[:STEPS])
    with pytest.raises(ValueError, match="the index of y has times"):
        fitted.predict(X=other, y=moved)
    with pytest.raises(ValueError, match=r"the index of y\[1\] has times"):
        linear().fit([y, moved])
    assert len(fitted.predict(X=own)) == 6


def test_known_features_have_one_row_of_a_time(two: LSTMForecaster, known: Any) -> None:
    twice = pandas.concat([known, known[STEPS : STEPS + 1] + 1])
    with pytest.raises(ValueError, match="X has 2 rows of the time 2024-07-19 00:00:00, expected"):
        two.predict(X=twice)
    past = pandas.concat([known, known[:1]])  # of a time that is not asked for
    pandas.testing.assert_frame_equal(two.predict(X=past), two.predict(X=known))


@pytest.mark.parametrize("index", [np.arange(STEPS + 6), np.arange(STEPS + 6) + 1900])
def test_numbers_in_an_index_tell_which_features_are_of_the_future(known: Any, index: Any) -> None:
    X, y = known.set_axis(index), targets(known).load.set_axis(index[:STEPS])
    fitted = linear().fit(y, X[:STEPS])
    expected = fitted.predict(X=X[STEPS:])
    for given in (X, X[::-1], X[STEPS:].reset_index(drop=True), X[STEPS:].to_numpy()):
        pandas.testing.assert_series_equal(fitted.predict(X=given), expected)
    assert (fitted.predict(3, X=X[STEPS:].to_numpy()) == expected[:3]).all()


def test_features_of_the_past_are_not_taken_for_the_future(two: LSTMForecaster, known: Any) -> None:
    for X in (known.reset_index(drop=True), known.to_numpy()):
        with pytest.raises(ValueError, match=r"X has 206 rows, .* the 6 of .* such as X\[-6:\]"):
            two.predict(X=X)


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (slice(None, None, -1), r"y\[1\]: 2024-07-17 00:00:00 comes after 2024-07-18 00:00:00"),
        ([*range(9), *range(10, 200), 9], r"y\[199\]: 2024-01-10 00:00:00 comes after 2024-07-18"),
    ],
)
def test_times_in_no_order_are_told_as_such(known: Any, order: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"{told}.*sort the rows by time"):
        linear().fit(targets(known).iloc[order])


def test_what_is_no_table_of_numbers_is_named(known: Any) -> None:
    y = targets(known)
    with pytest.raises(ValueError, match=r"y has shape \(200, 0\), expected at least one column"):
        linear().fit(y[[]])
    for given, kind in (({"load": y.load}, "dict"), (iter(y.load), "list_iterator|map|generator")):
        with pytest.raises(TypeError, match=f"y is a ({kind}), expected numbers of shape"):
            linear().fit(given)


def test_a_start_that_is_missing_is_no_time(two: LSTMForecaster, known: Any) -> None:
    for start in (None, "NaT", np.datetime64("NaT")):
        with pytest.raises(
            ValueError, match="start is .*, expected a number, a fraction or a time"
        ):
            two.backtest(targets(known), start, X=known[:STEPS])


def test_features_in_the_place_of_the_horizon_are_told_in_a_line(
    two: LSTMForecaster, known: Any
) -> None:
    with pytest.raises(TypeError, match=r"horizon is a DataFrame of shape \(6, 2\), expected an"):
        two.predict(known[STEPS:])
