"""No forecast and no band lies where the series cannot: counts below 0, shares above 100."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from waves import SMALL  # noqa: E402

from fastlstm.forecast.framing import limits_of  # noqa: E402
from fastlstm.forecast.saving import load_forecaster  # noqa: E402
from fastlstm.forecast.series import read_series  # noqa: E402
from fastlstm.sklearn import LSTMForecaster  # noqa: E402
from fastlstm.train import checkpoint  # noqa: E402

LINEAR: dict[str, Any] = {"horizon": 6, **SMALL, "epochs": 0}
LEVELS = [0.001, 0.01, 0.1, 0.5, 0.9, 0.999]


def few(count: int = 240, seed: int = 0) -> Any:
    """Rare events, most of them in one half of the week."""
    rng = np.random.default_rng(seed)
    return rng.negative_binomial(1, 1 / (1 + np.where(np.arange(count) % 7 < 3, 1.5, 0.2)))


def test_no_band_of_counts_is_below_0() -> None:
    y = few()
    found = LSTMForecaster(**LINEAR).fit(y[:200])
    assert (found.predict(30, quantiles=LEVELS) >= 0).all()  # beyond the horizon and the quantiles
    walk = found.backtest(y, 200)
    assert (walk.bands >= 0).all()
    assert (walk.forecast >= 0).all()
    free = LSTMForecaster(**LINEAR, low=-1e9).fit(y[:200])
    assert free.forecaster_.framing.kind == "linear"
    assert (free.predict(6, quantiles=LEVELS)[:, 0] < 0).all()


def test_limits_change_nothing_else() -> None:
    t = np.arange(240)
    y = np.random.default_rng(1).poisson(4 + 3 * np.sin(2 * np.pi * t / 12))
    found, free = (LSTMForecaster(**LINEAR, low=low).fit(y) for low in (None, -1e9))
    assert found.forecaster_.framing.kind == "linear"
    below = free.predict(6, quantiles=LEVELS)
    assert (below[:, 0] < 0).any()
    assert np.array_equal(found.predict(6, quantiles=LEVELS), np.maximum(below, 0))


def test_shares_stay_between_their_limits() -> None:
    rng = np.random.default_rng(0)
    y = np.clip(90 + 15 * np.sin(np.arange(240) / 3) + rng.normal(0, 5, 240), 0, 100)
    found = LSTMForecaster(**LINEAR, low=0, high=100).fit(y)
    bands = found.predict(20, quantiles=LEVELS)
    assert bands.max() == 100
    assert LSTMForecaster(**LINEAR).fit(y).predict(20, quantiles=LEVELS).max() > 100


def test_what_is_learned_on_roots_or_logarithms_is_not_negative_at_any_level() -> None:
    t = np.arange(240)
    rng = np.random.default_rng(0)
    y = np.exp(0.02 * t + np.sin(2 * np.pi * t / 12) + rng.normal(0, 0.5, 240)) / 3
    found = LSTMForecaster(**LINEAR).fit(y)
    assert found.forecaster_.framing.kind != "linear"
    assert (found.predict(20, quantiles=[1e-9, 0.001, 0.5]) >= 0).all()


def test_numbers_that_are_no_counts_may_fall_below_0() -> None:
    y = 60 - 0.25 * np.arange(240) + 0.1  # down to 0.35
    found = LSTMForecaster(**LINEAR).fit(y)
    assert found.predict(12)[-1] < -1


def test_counts_are_told_for_each_target() -> None:
    y = np.array([[0, 0.5, -1], [3, 1, 2], [np.nan, 2, 3]])
    series = [read_series("y", y), read_series("y", np.array([[7.0, 1, 1]]))]
    assert limits_of(series, None, None)[:, 0].tolist() == [0, -np.inf, -np.inf]
    assert limits_of(series, None, 9)[:, 1].tolist() == [9, 9, 9]
    assert limits_of(series, -5, None).tolist() == [[-5, np.inf]] * 3
    with pytest.raises(ValueError, match="low is 0, but target 2 has -1"):
        limits_of(series, 0, None)
    with pytest.raises(ValueError, match="high is 6.5, but target 0 has 7"):
        limits_of(series, None, 6.5)
    for low in (9, 10):
        with pytest.raises(ValueError, match=f"low is {low}, expected less than high, which is 9"):
            limits_of(series, low, 9)


def test_limits_are_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    found = LSTMForecaster(**LINEAR, high=50).fit(few())
    found.save(path)
    again = LSTMForecaster.load(path)
    assert again.high == 50
    assert again.forecaster_.framing.limits.tolist() == [[0, 50]]
    levels = found.predict(20, quantiles=LEVELS)
    assert np.array_equal(again.predict(20, quantiles=LEVELS), levels)
    tensors, note = checkpoint.load(path, "forecaster")
    del tensors["framing/limits"]  # as files of earlier versions
    checkpoint.save(path, tensors, "forecaster", note)
    older, _, _ = load_forecaster(path)
    assert older.framing.limits.tolist() == [[-np.inf, np.inf]]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"low": "0"}, TypeError, "low is '0', expected a number"),
        ({"high": np.inf}, ValueError, "high is inf, expected a finite number"),
        ({"low": np.nan}, ValueError, "low is nan, expected a finite number"),
        ({"low": 1}, ValueError, "low is 1, but target 0 has 0"),
        ({"low": 3, "high": 2}, ValueError, "low is 3, expected less than high, which is 2"),
    ],
)
def test_limits_that_cannot_be(options: dict[str, Any], error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        LSTMForecaster(**LINEAR, **options).fit(few())
