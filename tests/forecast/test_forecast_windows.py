"""Windows are views of the series, and the linear part is a ridge regression on them."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from fastlstm.forecast.backtest import backtest
from fastlstm.forecast.forecaster import Forecaster, ForecastOptions, check_lengths
from fastlstm.forecast.framing import Framing
from fastlstm.forecast.linear import folds_of
from fastlstm.forecast.net import NetOptions
from fastlstm.forecast.ridge import FADES, Ridge, Sums, Way
from fastlstm.forecast.series import read_series
from fastlstm.forecast.windows import Frame, Windows


def _frame(T: int, K: int, P: int, C: int, H: int) -> Frame:
    rng = np.random.default_rng(0)
    y, usual, known = (rng.normal(size=(T + H, size)) for size in (K, P, C))
    target = y.copy()
    target[T:] = np.nan
    target[7] = np.nan
    return Frame(y, target, target.copy(), usual, known, known[:, 1:])


def test_windows_hold_what_is_around_their_origins() -> None:
    T, K, C, L, H = 30, 2, 3, 5, 4
    frame = _frame(T, K, K, C, H)
    frame.learned[9] = np.nan
    windows = Windows([frame, frame], [np.arange(5, 20), np.array([8, 30])], L, H)
    assert len(windows) == 17
    window = windows[[3, 15, 16]]
    for n, origin in enumerate((8, 8, 30)):
        past = frame.y[origin - L : origin]
        level = past.mean(axis=0)
        assert np.allclose(window.past[n], past - level)
        assert np.allclose(window.level[n], level)
        assert np.array_equal(
            window.target[n], frame.target[origin : origin + H] - level, equal_nan=True
        )
        assert np.array_equal(
            window.learned[n], frame.learned[origin : origin + H] - level, equal_nan=True
        )
        assert np.allclose(window.usual[n], frame.usual[origin - 1 : origin + H] - level)
        assert np.array_equal(window.X[n], frame.X[origin - L : origin])
        assert np.array_equal(window.known[n], frame.known[origin - 1 : origin + H])


def test_windows_of_a_long_series_are_not_copied() -> None:
    frame = _frame(20_000, 1, 0, 2, 24)
    windows = Windows([frame], [np.arange(168, 19_000)], 168, 24)
    assert windows._past.base is not None
    assert windows._past.strides[0] == windows._past.strides[2]  # one step apart, not a window


@pytest.mark.parametrize("season", [0, 1, 2, 6])
def test_the_linear_part_is_a_ridge_regression(season: int) -> None:
    H, L = 3, 6
    frame = _frame(80, 1, 1, 2, H)
    frame.learned[[30, 31, 50]] = np.nan
    windows = Windows([frame], [np.arange(10, 70)], L, H)
    penalty = 0.1
    ridge = Ridge.fit(windows, [Way(1.0), Way(penalty, season)])[1]
    window = windows[:]
    for h in range(H):
        columns = [
            window.past[..., 0], window.X[..., 0], window.usual[:, -H - 1], np.ones((60, 1)),
            window.usual[:, h - H], window.known[:, h - H],
        ]  # fmt: skip
        every = np.concatenate(columns, axis=1)
        target = window.learned[:, h, 0]
        there = ~np.isnan(target)
        assert 0 < (~there).sum() < 5
        Z = every[there]
        weights = np.full(Z.shape[1], penalty * 60)
        weights[:L] *= 1 + np.arange(L)[::-1] / FADES
        weights[2 * L + 1] = 1e-9 * 60
        drawn_to = np.zeros(Z.shape[1])
        if season:
            drawn_to[L - season + h % season] = 1
        right = Z.T @ target[there] + weights * drawn_to
        w = np.linalg.solve(Z.T @ Z + np.diag(weights), right)
        assert np.allclose(ridge(window)[:, h, 0], every @ w)


def test_a_strong_penalty_leaves_the_mean_or_a_naive_forecast() -> None:
    windows = Windows([_frame(80, 2, 2, 3, 4)], [np.arange(10, 70)], 6, 4)
    mean, last, season = Ridge.fit(windows, [Way(1e6), Way(1e6, 1), Way(inf, 3)])
    window = windows[:]
    left = window.target.mean(axis=0)  # the constant is free
    assert np.allclose(mean(window), left, atol=1e-3)
    past = np.repeat(window.past[:, -1:], 4, axis=1)
    assert np.allclose(last(window), past + (window.target - past).mean(axis=0), atol=1e-3)
    assert np.allclose(season(window), window.past[:, [-3, -2, -1, -3]])


def test_windows_can_be_added_to_a_linear_part() -> None:
    frame = _frame(80, 2, 0, 1, 2)
    ways = [Way(0.1), Way(0.01, 1)]

    def windows(*span: int) -> Windows:
        return Windows([frame], [np.arange(*span)], 4, 2)

    sums = Sums().add(windows(10, 40))
    first = sums.ridges(ways, 60)
    second = sums.add(windows(40, 70)).ridges(ways, 60)
    for one, whole in zip(second, Ridge.fit(windows(10, 70), ways), strict=True):
        assert np.allclose(one.shared, whole.shared)
        assert np.allclose(one.own, whole.own)
    assert not np.allclose(first[0].shared, second[0].shared)


def test_a_random_walk_is_forecast_by_its_last_value() -> None:
    y = np.cumsum(np.random.default_rng(0).normal(size=900))
    options = ForecastOptions(horizon=12, net=NetOptions(epochs=1, hidden_size=4))
    series = read_series("y", y)
    found = Forecaster.fit([series.until(720)], options)
    result = backtest(found, [series], [720], 12, [0.1, 0.9])
    assert result.season == 1
    assert np.allclose(result.forecast, result.naive, atol=1e-5)
    assert abs(result.coverage - 0.8) < 0.1


@pytest.mark.parametrize(("count", "folds"), [(26, 1), (44, 2), (400, 3)])
def test_short_series_are_held_back_in_fewer_parts(count: int, folds: int) -> None:
    series = read_series("y", np.random.default_rng(0).normal(size=count))
    framing = Framing.of([series], 6, None, 1, True, 0.15)
    cuts = [cut for (cut,) in folds_of([series], framing, 0.15)]
    size = max(6, round(0.15 * count))
    assert cuts == [count - size * (folds - n) for n in range(folds)]
    windows = [cut - 6 + 1 - framing.first for cut in cuts]
    assert windows[0] >= windows[-1] / 2 > 0


def test_the_season_and_the_context_fit_into_short_series() -> None:
    long = read_series("y", np.sin(np.arange(400) * 2 * np.pi / 12))
    framing = Framing.of([long], 6, None, None, True, 0.15)
    assert (framing.season, framing.context, framing.has_usual) == (12, 32, True)
    framing = Framing.of([long.until(40)], 6, None, 12, True, 0.15)
    assert (framing.context, framing.has_usual) == (8, True)
    framing = Framing.of([long.until(40)], 6, None, 20, True, 0.15)
    assert not framing.has_usual


def test_a_series_too_short_for_its_horizon_is_named() -> None:
    short = read_series("y", np.arange(79.0))
    with pytest.raises(ValueError, match="the series has 79 steps, expected at least 80"):
        check_lengths([short], 24)
    with pytest.raises(ValueError, match="series 1 has 79 steps"):
        Forecaster.fit([read_series("y", np.arange(80.0)), short], ForecastOptions())


def test_a_longer_context_is_read_where_it_helps() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=1200)
    for t in range(80, len(y)):
        y[t] += 0.9 * y[t - 80]  # an echo that a short context does not reach
    options = ForecastOptions(horizon=4, season=1, net=NetOptions(epochs=0))
    found = Forecaster.fit([read_series("y", y)], options).framing.context
    assert found == 96
    asked = replace(options, context=20)
    assert Forecaster.fit([read_series("y", y)], asked).framing.context == 20
    walk = read_series("y", np.cumsum(rng.normal(size=1200)))
    assert Forecaster.fit([walk], options).framing.context == 32
