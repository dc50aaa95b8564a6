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
