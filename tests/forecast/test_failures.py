"""Failures are read as missing where that forecasts better, and naive forecasts where they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")

from fastlstm.forecast import mae
from fastlstm.forecast.failures import fences, without_failures
from fastlstm.forecast.scaling import Scale
from fastlstm.sklearn import LSTMForecaster

Floats = NDArray[np.float64]


def pipe(seed: int, failures: int, count: int = 1268) -> Floats:
    """Return hours of a day that remembers, with so many failures of half a day."""
    rng = np.random.default_rng([3, seed])
    t = np.arange(count)
    y = 100 + 3 * np.sin(2 * np.pi * t / 24) + 1.5 * np.sin(4 * np.pi * t / 24 + 1)
    noise = rng.normal(0, 0.15, count)
    for n in range(1, count):
        noise[n] += 0.9 * noise[n - 1]
    y += noise
    for first in rng.integers(0, count * 4 // 5, failures):
        y[first : first + 13] = 24
    return np.asarray(y)


def walked(y: Floats, horizon: int, **options: Any) -> tuple[LSTMForecaster, float, float]:
    """Return a linear part, and its error and the seasonal naive one on the last fifth."""
    start = len(y) * 4 // 5
    found = LSTMForecaster(horizon=horizon, epochs=0, random_state=0, **options).fit(y[:start])
    walk = found.backtest(y, start)
    return found, walk.mae, mae(walk.actual, walk.naive)


@pytest.mark.parametrize("seed", range(4))
def test_failures_do_not_spoil_the_forecasts_after_them(seed: int) -> None:
    found, error, naive = walked(pipe(seed, 4), 24)
    assert found.season_ == 24
    assert found.forecaster_.framing.steady == 48
    assert error < naive
    _, without, _ = walked(pipe(seed, 0), 24)
    assert error < 1.15 * without


def test_a_series_without_failures_is_read_as_it_is() -> None:
    found, _, _ = walked(pipe(0, 0), 24)
    assert found.forecaster_.framing.steady == 0


def test_a_season_that_wanders_is_forecast_about_as_well_as_by_its_last_one() -> None:
    shares = []
    for seed in range(8):
        rng = np.random.default_rng([4, seed])
        years = 3 * rng.normal(size=4) + np.cumsum(rng.normal(size=(50, 4)), axis=0)
        _, error, naive = walked(400 + years.reshape(-1), 8, season=4)
        shares.append(error / naive)
    assert np.mean(shares) < 1.05  # nothing is better than the last one; a ridge alone has 1.19


def test_a_season_that_counts_in_part_brings_no_drift_of_the_past_with_it() -> None:
    shares = []
    for seed in range(5):
        rng = np.random.default_rng([8, seed])
        t = np.arange(211)
        level = 200 + 250 / (1 + np.exp((70 - t) / 20)) + np.cumsum(rng.normal(0, 2, 211))
        shape = [0, -0.08, -0.05, 0.15] + np.cumsum(rng.normal(0, 0.01, (53, 4)), axis=0)
        y = level * (1 + shape.reshape(-1)[:211]) + rng.normal(0, 5, 211)  # grew, and levels off
        _, error, naive = walked(y, 8)
        shares.append(error / naive)
    assert max(shares) < 1


def test_a_new_level_is_a_failure_for_half_of_the_steps() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 2))
    limits = fences(y, 20)
    y[100:, 1] += 50
    missing = np.isnan(without_failures(y, 20, limits))
    assert np.flatnonzero(missing[:, 1]).tolist() == list(range(100, 110))
    assert not missing[:, 0].any()
    for end in (20, 105, 108, 150):  # nothing depends on what comes later
        before = without_failures(y[:end], 20, limits)
        assert np.array_equal(np.isnan(before), missing[:end])


def test_fences_are_those_of_tukey() -> None:
    y = np.random.default_rng(0).normal(size=(20_000, 1))
    low, high = fences(np.concatenate([y, np.zeros_like(y)], axis=1), 501)
    expected = 0.6745 + 3 * 2 * 0.6745
    assert [-low[0], high[0]] == pytest.approx([expected] * 2, rel=0.05)
    assert [low[1], high[1]] == [-np.inf, np.inf]  # values that hardly ever differ have none


def test_a_scale_of_what_is_no_failure() -> None:
    y = pipe(0, 4)[:, None]
    raw, steady = Scale.of(y, "linear"), Scale.of(y, "linear", 48)
    there = steady.without_failures(steady.there(y))
    assert np.isnan(there).sum() == (y == 24).sum()
    assert np.allclose([np.nanmean(there), np.nanstd(there)], [0, 1])
    assert steady.spread < raw.spread / 2
    assert np.allclose(steady.back(steady.there(y)[None])[0], y)  # failures, too
    assert np.isnan(raw.without_failures(raw.there(y))).sum() == 0


def test_what_was_read_as_missing_is_so_in_a_file(tmp_path: Path) -> None:
    found, _, _ = walked(pipe(0, 4), 24)
    found.save(tmp_path / "kept.safetensors")
    kept = LSTMForecaster.load(tmp_path / "kept.safetensors")
    assert kept.forecaster_.framing.steady == 48
    assert np.array_equal(kept.predict(), found.predict())
