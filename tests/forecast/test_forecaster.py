"""The estimator: what it learns, what it refuses, and that a seed gives the same bits."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from waves import SMALL, days, wave  # noqa: E402

from fastlstm.forecast.net import is_taught  # noqa: E402
from fastlstm.sklearn import LSTMForecaster  # noqa: E402
from fastlstm.train.checkpoint import CheckpointError  # noqa: E402


@pytest.fixture(scope="module")
def fitted() -> LSTMForecaster:
    """A forecaster of a wave."""
    return LSTMForecaster(horizon=6, **SMALL).fit(wave())


def test_forecasts_follow_the_wave(fitted: LSTMForecaster) -> None:
    y = wave(264)
    forecast = fitted.predict(12)
    assert forecast.shape == (12,)
    assert fitted.season_ == 12
    naive = np.abs(y[240:252] - y[228:240]).mean()
    assert np.abs(forecast - y[240:252]).mean() < naive
    assert np.array_equal(fitted.predict(), forecast[:6])
    assert np.array_equal(fitted.predict(3), forecast[:3])


def test_the_default_beats_seasonal_naive() -> None:
    y = wave(600, noise=1.0)
    found = LSTMForecaster(horizon=6, random_state=0, epochs=4, n_threads=1).fit(y[:480])
    result = found.backtest(y, start=480)
    naive = np.abs(result.naive - result.actual).mean()
    assert result.mae < 0.85 * naive
    assert result.mase < 0.85
    assert abs(result.coverage - result.expected_coverage) < 0.12


def test_quantiles_are_in_order_and_any_can_be_asked_for(fitted: LSTMForecaster) -> None:
    found = fitted.predict(20, quantiles=[0.05, 0.1, 0.5, 0.9, 0.95])
    assert found.shape == (20, 5)
    assert (np.diff(found, axis=1) >= 0).all()
    assert np.allclose(found[:, 2], fitted.predict(20))
    with pytest.raises(ValueError, match="quantiles"):
        fitted.predict(quantiles=[0.9, 0.1])


def test_a_seed_gives_the_same_bits(fitted: LSTMForecaster) -> None:
    y = [0.3]
    for _ in range(299):
        y.append(3.7 * y[-1] * (1 - y[-1]))  # what follows is a curve of the last value
    params = {"horizon": 2, "lr": 0.01, "batch_size": 16, "average": 0, "random_state": 0}
    one = LSTMForecaster(hidden_size=8, epochs=4, n_threads=1, **params).fit(y)
    again, other = clone(one).fit(y), clone(one).set_params(random_state=1).fit(y)
    assert np.array_equal(again.predict(20), one.predict(20))
    assert is_taught(one.forecaster_.net)
    assert not np.array_equal(other.predict(), one.predict())


def test_a_net_that_learns_nothing_is_left_as_it_began(fitted: LSTMForecaster) -> None:
    assert fitted.history_ is not None
    assert not is_taught(fitted.forecaster_.net)
    linear = clone(fitted).set_params(epochs=0).fit(wave())
    assert np.array_equal(linear.predict(), fitted.predict())


def test_a_forecast_does_not_depend_on_what_comes_after(fitted: LSTMForecaster) -> None:
    y = wave(300)
    changed = y.copy()
    changed[280:] += 50
    first, second = (fitted.backtest(one, start=270) for one in (y, changed))
    assert np.array_equal(first.forecast[:11], second.forecast[:11])
    assert not np.array_equal(first.forecast[11:], second.forecast[11:])


def test_the_walk_forward_is_predict_from_each_origin(fitted: LSTMForecaster) -> None:
    y = wave(300)
    result = fitted.backtest(y, start=290, horizon=4)
    assert result.origins.tolist() == list(range(290, 297))
    assert result.forecast.shape == (7, 4, 1)
    assert np.allclose(result.forecast[0, :, 0], fitted.predict(4, y=y[:290]))
    assert np.allclose(
        result.bands[0, :, 0], fitted.predict(4, y=y[:290], quantiles=(0.1, 0.5, 0.9))
    )
    assert result.actual[3, :, 0].tolist() == y[293:297].tolist()
    assert result.mae == pytest.approx(np.abs(result.forecast - result.actual).mean())
    assert result.by_step.mean() == pytest.approx(result.mae)
    assert fitted.backtest(y, start=0.8).origins[0] == 240


def test_the_walk_forward_goes_beyond_the_trained_horizon(fitted: LSTMForecaster) -> None:
    y = wave(300)
    result = fitted.backtest(y, start=240, horizon=15, stride=20)
    assert result.origins.tolist() == [240, 260, 280]
    assert result.bands.shape == (3, 15, 1, 3)
    assert np.allclose(result.forecast[0, :, 0], fitted.predict(15, y=y[:240]))
    assert result.actual[2, :, 0].tolist() == y[280:295].tolist()
    assert result.mae < np.abs(result.naive - result.actual).mean()
    assert 0.5 < result.coverage <= 1
    short = fitted.backtest(y, start=240, horizon=4, stride=20)
    every = fitted.backtest(y, start=240, horizon=4)
    assert np.array_equal(short.forecast, every.forecast[::20])
    with pytest.raises(ValueError, match="expected at least 255 for a horizon of 15"):
        fitted.backtest(y[:250], 240, 15)


def test_features_known_ahead_are_used() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(320, 2))
    y = wave(320, noise=0.1) + 4 * X[:, 0]
    found = LSTMForecaster(horizon=6, **SMALL).fit(y[:300], X[:300])
    assert found.n_features_in_ == 2
    off = np.abs(found.predict(6, X[300:306]) - y[300:306]).mean()
    assert off < 0.5
    assert np.array_equal(found.predict(6, X[300:]), found.predict(6, X[300:306]))
    assert found.predict(20, X[300:]).shape == (20,)
    assert np.allclose(found.predict(6, X[:306], y=y[:300]), found.predict(6, X[300:306]))
    assert found.backtest(y, 300, X=X).mae < 0.6
    with pytest.raises(ValueError, match="X is missing"):
        found.predict(6)
    with pytest.raises(ValueError, match="X has 5 rows, expected 6"):
        found.predict(6, X[300:305])
    with pytest.raises(ValueError, match="X has 1 column, expected 2 as in fit"):
        found.predict(6, X[300:306, :1])


def test_several_targets_and_several_series() -> None:
    two = np.stack([wave(), -5 * wave(seed=1)], axis=1)
    found = LSTMForecaster(horizon=6, **SMALL).fit([two, two[:200] + 3])
    forecasts = found.predict(8)
    assert [one.shape for one in forecasts] == [(8, 2), (8, 2)]
    assert found.predict(8, quantiles=[0.2, 0.8])[1].shape == (8, 2, 2)
    result = found.backtest([two, two[:200]], start=0.9)
    assert result.which.tolist() == [0] * 19 + [1] * 15
    assert result.naive.shape == result.forecast.shape == (34, 6, 2)
    single = found.predict(6, y=two)
    assert np.array_equal(single, found.predict(6, y=[two])[0])


def test_missing_values_are_forecast_over() -> None:
    y = wave()
    y[[20, 50, 51, 239]] = np.nan
    found = LSTMForecaster(horizon=6, **SMALL).fit(y)
    assert np.abs(found.predict(6) - wave(246)[240:]).mean() < 1
    assert np.isfinite(found.backtest(y, 220).mae)


def test_whole_numbers_and_many_gaps_are_learned_from() -> None:
    y = np.round(10 * wave(400)).astype(np.int16)
    whole = LSTMForecaster(horizon=12, **SMALL).fit(y[:360])
    assert np.array_equal(whole.predict(), clone(whole).fit(y[:360].astype(float)).predict())
    gaps = y.astype(float)
    gaps[np.random.default_rng(0).random(400) < 0.2] = np.nan  # hardly a window is whole
    found = clone(whole).fit(gaps[:360]).backtest(gaps, 360)
    assert found.mae < 0.6 * np.nanmean(np.abs(found.naive - found.actual))


def test_stamps_give_features_of_the_calendar() -> None:
    t = days(400)
    weekend = (t.astype(int) % 7 >= 5).astype(float)
    rng = np.random.default_rng(0)
    y = rng.normal(0, 0.3, 400) + 5 * weekend
    found = LSTMForecaster(horizon=7, season=1, context=4, **SMALL).fit(y[:393], stamps=t[:393])
    assert found.forecaster_.framing.calendar.circles == ("weekday",)
    off = np.abs(found.predict(7) - y[393:]).mean()
    plain = LSTMForecaster(horizon=7, season=1, context=4, calendar=False, **SMALL).fit(y[:393])
    assert np.abs(plain.predict(7) - y[393:]).mean() > 1.5 * off
    with pytest.raises(ValueError, match="no stamps"):
        found.predict(y=y)
    start = found.backtest(y, np.datetime64("2021-01-20"), stamps=t).origins[0]
    assert t[start] == np.datetime64("2021-01-20")


@pytest.mark.parametrize("how", ["pickle", "file"])
def test_a_kept_forecaster_forecasts_the_same(
    how: str, fitted: LSTMForecaster, tmp_path: Path
) -> None:
    if how == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        fitted.save(tmp_path / "f.safetensors")
        again = LSTMForecaster.load(tmp_path / "f.safetensors")
    assert again.get_params() == fitted.get_params()
    assert np.array_equal(again.predict(20), fitted.predict(20))
    y = wave(300)
    assert again.backtest(y, 280).mae == fitted.backtest(y, 280).mae


def test_a_file_whose_parts_do_not_fit_is_refused(fitted: LSTMForecaster, tmp_path: Path) -> None:
    from fastlstm.train import checkpoint

    path = tmp_path / "f.safetensors"
    fitted.save(path)
    tensors, note = checkpoint.load(path, "forecaster")
    changes: list[tuple[Any, Any]] = [
        (lambda t, n: n["forecaster"].update(context=10**9), "ridge/shared"),
        (lambda t, n: n["forecaster"]["net"].update(hidden_size=10**9), "its sizes"),
        (lambda t, n: n["forecaster"].update(circles=["moon"]), "calendar"),
        (lambda t, n: n["forecaster"].update(season=-1), "season"),
        (lambda t, n: n["forecaster"].update(scale=[1]), "scale"),
        (lambda t, n: n["forecaster"].update(steady=10**9), "steady"),
        (lambda t, n: n["forecaster"].update(spacing=[0, False, 31]), "spacing"),
        (lambda t, n: n["forecaster"].update(quantiles=[0.5, 0.1]), "quantiles"),
        (lambda t, n: n.pop("estimator"), "estimator"),
        (lambda t, n: n["estimator"]["params"].update(bogus=1), "bogus"),
        (lambda t, n: t.pop("ridge/own"), "own"),
        (lambda t, n: t.update({"series0/y": np.zeros((3, 2))}), "series"),
    ]
    for change, told in changes:
        arrays, about = dict(tensors), pickle.loads(pickle.dumps(note))
        change(arrays, about)
        checkpoint.save(path, arrays, "forecaster", about)
        with pytest.raises(CheckpointError, match=told):
            LSTMForecaster.load(path)
    for name in ("steady", "spacing"):  # as in files of before
        del note["forecaster"][name]
    checkpoint.save(path, tensors, "forecaster", note)
    assert np.array_equal(LSTMForecaster.load(path).predict(), fitted.predict())


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"horizon": 0}, "horizon is 0"),
        ({"quantiles": (0.9, 0.1)}, "quantiles is"),
        ({"context": 0}, "context is 0"),
        ({"season": -1}, "season is -1"),
        ({"validation_fraction": 0.0}, "validation_fraction is 0.0"),
        ({"cell": "tree"}, "cell is 'tree'"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_parameters_out_of_range_are_named(params: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        LSTMForecaster(**{"horizon": 6, **SMALL, **params}).fit(wave())


@pytest.mark.parametrize(
    ("y", "X", "told"),
    [
        (np.array(["a", "b"]), None, "y has dtype"),
        (np.array([1.0, "2"], dtype=object), None, r"y\[1\] is '2', expected a number"),
        ({"a": wave()}, None, "y is a dict, expected numbers"),
        (5, None, "y has dtype int64 and shape"),
        ([[1, 2, 3], [4, 5]], None, "y has rows of different lengths"),
        (np.zeros((3, 2, 1)), None, "y has dtype"),
        (np.r_[wave(), np.inf], None, "y holds infinite numbers"),
        (np.full(100, np.nan), None, "no number at all"),
        (wave(20), None, "the series has 20 steps, expected at least 26"),
        (wave(), np.zeros(10), "X has 10 rows, expected 240"),
        (wave(), np.r_[np.zeros(239), np.nan], r"X\[239, 0\] is nan"),
        ([wave(), np.zeros((240, 2))], None, r"y\[1\] has 2 columns, but y\[0\] has 1"),
        ([wave(), wave()], [np.zeros(240)], "X is to be a list of 2"),
        (np.array([]), None, "y is empty"),
    ],
)
def test_series_that_cannot_be_learned_are_named(y: Any, X: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        LSTMForecaster(horizon=6, **SMALL).fit(y, X)


def test_walks_that_cannot_start_are_named(fitted: LSTMForecaster) -> None:
    for start, told in ((5, "forecast reads 32 steps"), (239, "expected at least 245")):
        with pytest.raises(ValueError, match=told):
            fitted.backtest(wave(), start)
    with pytest.raises(ValueError, match="start is 1.5"):
        fitted.backtest(wave(), 1.5)
    with pytest.raises(TypeError, match="y has no stamps"):
        fitted.backtest(wave(), "2020-01-01")
    with pytest.raises(ValueError, match="stride is 0"):
        fitted.backtest(wave(), 200, stride=0)
    with pytest.raises(ValueError, match="y has 10 steps, expected at least 32"):
        fitted.predict(y=wave(10))


def test_growth_in_proportion_is_learned_on_a_scale_of_logarithms() -> None:
    y = np.exp(wave(240, noise=0.5) / 4)
    found = LSTMForecaster(horizon=6, **SMALL).fit(y[:200])
    assert found.forecaster_.framing.kind == "log"
    plain = LSTMForecaster(horizon=6, **SMALL).fit(y[:200] - 100)
    assert plain.forecaster_.framing.kind == "linear"
    assert found.backtest(y, 200).mae < plain.backtest(y - 100, 200).mae
    assert (found.predict(40, quantiles=[0.001, 0.999]) >= 0).all()


def test_a_high_level_is_never_learned_on_a_scale_of_logarithms() -> None:
    params = {**SMALL, "epochs": 0, "season": 12}
    y = np.random.default_rng(0).normal(10 + np.sin(np.arange(200) * np.pi / 6), 0.1)
    found = [
        LSTMForecaster(horizon=3, **params).fit(y + level).predict(quantiles=[0.1, 0.9]) - level
        for level in (0, 1e14)
    ]
    assert np.abs(found[1] - found[0]).max() < 0.1


def test_no_epochs_leave_the_linear_part_alone() -> None:
    found = LSTMForecaster(horizon=6, **{**SMALL, "epochs": 0}).fit(wave())
    assert found.history_ is None
    other = clone(found).set_params(random_state=1, hidden_size=8).fit(wave())
    assert np.array_equal(found.predict(6), other.predict(6))


def test_a_constant_series_is_forecast_constant() -> None:
    found = LSTMForecaster(horizon=4, **SMALL).fit(np.full(60, 7.0))
    assert np.allclose(found.predict(4), 7, atol=0.2)
    assert np.isnan(found.backtest(np.full(60, 7.0), 50).mase)


def test_a_walk_is_drawn(fitted: LSTMForecaster, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = fitted.backtest(wave(300), 270)
    result.plot(tmp_path / "walk.png")
    assert (tmp_path / "walk.png").read_bytes().startswith(b"\x89PNG")
    axes = result.plot().axes[0]
    assert {line.get_label() for line in axes.lines} >= {"measured", "forecast"}


def test_pandas_in_pandas_out() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.DatetimeIndex(days(), name="day")
    series = pandas.Series(wave(), index=index, name="level")
    forecast = LSTMForecaster(horizon=6, **SMALL).fit(series).predict(8)
    assert forecast.name == "level"
    assert forecast.index.equals(pandas.DatetimeIndex(days(8, "2020-08-28"), name="day"))
    frame = pandas.DataFrame({"a": wave(), "b": wave(seed=1)})
    forecast = LSTMForecaster(horizon=6, **SMALL).fit(frame).predict()
    assert list(forecast.columns) == ["a", "b"]
    assert forecast.index.tolist() == list(range(240, 246))


def test_a_constant_series_stays_what_it_is() -> None:
    fitted = LSTMForecaster(horizon=6, epochs=0, random_state=0).fit(np.full(120, 7.0))
    np.testing.assert_allclose(fitted.predict(), 7.0, rtol=1e-6)
    low, high = fitted.predict(quantiles=[0.1, 0.9]).T
    assert (low < 7).all()
    assert (high > 7).all()


def test_parameters_of_numpy_are_kept_in_a_file(tmp_path: Path) -> None:
    given = {**SMALL, "horizon": np.int64(6), "hidden_size": np.int32(4), "lr": np.float32(0.01)}
    LSTMForecaster(**given).fit(wave()).save(tmp_path / "f.safetensors")
    assert LSTMForecaster.load(tmp_path / "f.safetensors").horizon == 6


def test_stamps_that_are_none_are_named() -> None:
    told = "stamps holds what is no time such as 2024-05-31 or 2024-05-31T18:00: .*'?x"
    with pytest.raises(ValueError, match=told):
        LSTMForecaster(horizon=6, **SMALL).fit(wave(), stamps=["x"] * 240)
    days = np.delete(np.datetime64("2024-01-01") + np.arange(241), 5)
    with pytest.raises(
        ValueError, match=r"stamps\[5\]: there is a gap .*, expected steps of 1 day;"
    ):
        LSTMForecaster(horizon=6, **SMALL).fit(wave(), stamps=days)


def test_missing_values_as_tables_have_them() -> None:
    y = np.array([None, *wave()[1:]], dtype=object)
    fitted = LSTMForecaster(horizon=6, epochs=0, random_state=0).fit(y)
    assert np.isnan(fitted.series_[0].y[0, 0])


def test_days_of_a_zone_with_daylight_saving() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2023-01-01", periods=240, freq="D", tz="Europe/Berlin")
    days = pandas.Series(wave(), index=index)
    fitted = LSTMForecaster(horizon=6, epochs=0, random_state=0).fit(days)
    expected = pandas.date_range(index[-1], periods=7, freq="D")[1:]
    assert fitted.predict().index.equals(expected)
    start = pandas.Timestamp("2023-08-01", tz="Europe/Berlin")
    assert fitted.backtest(days, start).origins[0] == index.get_loc(start)
    hours = pandas.Series(wave(), pandas.date_range(index[80], periods=240, freq="h"))
    after = LSTMForecaster(horizon=6, epochs=0, random_state=0).fit(hours).predict().index
    assert after[0] - hours.index[-1] == pandas.Timedelta("1h")
    with pytest.raises(
        ValueError, match="start is 'nope', expected a number, a fraction or a time"
    ):
        fitted.backtest(days, "nope")
    with pytest.raises(ValueError, match="a step that is missing is a row of NaN"):
        LSTMForecaster(horizon=6).fit(days.drop(index[30]))


def test_features_with_times_are_found_by_them() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2023-01-01", periods=260, freq="D", tz="Europe/Berlin")
    X = pandas.DataFrame({"a": np.random.default_rng(0).normal(size=260)}, index=index)
    y = pandas.Series(wave() + 3 * X.a.to_numpy()[:240], index=index[:240])
    fitted = LSTMForecaster(horizon=6, epochs=0, random_state=0).fit(y, X)
    expected = fitted.predict(X=X.to_numpy()[240:246])
    for given in (X, X[::-1], X[240:], X[240:246]):
        pandas.testing.assert_series_equal(fitted.predict(X=given), expected)
    first = fitted.predict(1, X=X[240:241])
    pandas.testing.assert_series_equal(first, expected[:1], check_freq=False)
    short = fitted.predict(X=X, y=y[:200])
    pandas.testing.assert_series_equal(short, fitted.predict(X=X[:206], y=y[:200]))
    with pytest.raises(ValueError, match="X has no row of the time 2023-08-31 00:00:00"):
        fitted.predict(X=X[:242])


def test_a_feature_that_was_constant_in_fit_may_change_later() -> None:
    y, X = wave(), np.full((252, 1), 0.1)
    found = LSTMForecaster(horizon=6, **{**SMALL, "epochs": 0}).fit(y, X[:240])
    changed = np.full((6, 1), 0.2)
    assert np.allclose(found.predict(6, changed), found.predict(6, X[:6]), atol=0.5)


def test_a_median_alone_tells_no_bands() -> None:
    found = LSTMForecaster(horizon=6, quantiles=[0.5], **{**SMALL, "epochs": 0}).fit(wave())
    assert np.array_equal(found.predict(quantiles=[0.5])[:, 0], found.predict())
    with pytest.raises(ValueError, match="fit learned the median alone"):
        found.predict(quantiles=[0.1, 0.5, 0.9])


def test_the_last_step_of_windows_may_be_missing_everywhere() -> None:
    y = np.where(np.arange(60) < 3, 0.5, np.nan)
    forecaster = LSTMForecaster(horizon=2, context=8, epochs=1, hidden_size=2, random_state=0)
    assert forecaster.fit(y).predict() == pytest.approx([0.5, 0.5], abs=1e-3)
