"""The score of a forecaster, and scikit-learn's searches with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score  # noqa: E402
from waves import SMALL, days, wave  # noqa: E402

from fastlstm.forecast import mae, naive_error  # noqa: E402
from fastlstm.sklearn import LSTMForecaster  # noqa: E402

LINEAR: dict[str, Any] = {"horizon": 6, **SMALL, "epochs": 0}


@pytest.fixture(scope="module")
def fitted() -> LSTMForecaster:
    return LSTMForecaster(**LINEAR).fit(wave(240))


def test_the_score_of_a_horizon_is_the_error_of_predict_in_steps_of_fit(
    fitted: LSTMForecaster,
) -> None:
    y = wave(260)
    for steps in (1, 4, 6):
        off = mae(y[240 : 240 + steps], fitted.predict(steps))
        expected = -off / naive_error(y[:240])
        assert fitted.score(y[240 : 240 + steps]) == pytest.approx(expected)


def test_the_score_of_more_steps_walks_forward(fitted: LSTMForecaster) -> None:
    y = wave(280)
    expected = -fitted.backtest(y, 240).mae / naive_error(y[:240])
    assert fitted.score(y[240:]) == pytest.approx(expected)
    other = clone(fitted).set_params(season=1).fit(y[:240])  # the unit stays
    expected = -other.backtest(y, 240).mae / naive_error(y[:240])
    assert other.score(y[240:]) == pytest.approx(expected)


def test_the_last_value_scores_about_minus_one() -> None:
    y = np.cumsum(np.random.default_rng(0).normal(size=600))
    found = LSTMForecaster(**{**LINEAR, "horizon": 1}).fit(y[:500])
    assert found.score(y[500:]) == pytest.approx(-1, abs=0.15)


def test_each_target_has_its_own_unit_and_missing_values_count_nowhere() -> None:
    two = np.stack([wave(260), 1000 * wave(260)], axis=1)
    found = LSTMForecaster(**LINEAR).fit(two[:120])
    assert found.score(two[120:]) == pytest.approx(
        LSTMForecaster(**LINEAR).fit(two[:120, 0]).score(two[120:, 0]), rel=1e-6
    )
    holes = two.copy()
    holes[245, 0] = np.nan
    assert np.isfinite(found.score(holes[120:]))


def test_a_grid_search_finds_what_forecasts_well() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1))
    y = wave(300, noise=0.1) + X[:, 0]
    folds = TimeSeriesSplit(n_splits=3, test_size=24)
    search = GridSearchCV(LSTMForecaster(**LINEAR), {"season": [1, 12], "context": [2]}, cv=folds)
    search.fit(y, X)
    assert search.best_params_["season"] == 12
    assert search.cv_results_["mean_test_score"].argmax() == 1
    assert search.best_estimator_.predict(6, X[:6]).shape == (6,)
    best = clone(search.best_estimator_)
    train, test = list(folds.split(y))[-1]
    score = best.fit(y[train], X[train]).score(y[test], X[test])
    assert search.cv_results_["split2_test_score"][1] == pytest.approx(score)


def test_folds_of_pandas_and_stamps_beside_an_array() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2024-03-01", periods=200, freq="D", tz="Europe/Berlin")
    y = pandas.Series(wave(200, season=7), index=index)
    folds = TimeSeriesSplit(n_splits=3, test_size=10)
    one = LSTMForecaster(**LINEAR)
    expected = cross_val_score(one, y, cv=folds)
    assert (expected > -1.5).all()
    stamps = days(200, "2024-03-01")
    found = cross_val_score(one, y.to_numpy(), cv=folds, params={"stamps": stamps})
    assert np.allclose(found, expected)
    last = one.fit(y[:-1])
    assert last.score(y[-1:]) == pytest.approx(
        -abs(y.iloc[-1] - last.predict(1).iloc[0]) / naive_error(y[:-1])
    )


def test_steps_that_do_not_follow_are_named(fitted: LSTMForecaster) -> None:
    y = wave(260)
    dated = LSTMForecaster(**LINEAR).fit(y[:240], stamps=days(240))
    assert dated.score(y[240:]) == dated.score(y[240:], stamps=days(260)[240:])
    with pytest.raises(ValueError, match=r"y\[0\] is of 2020-01-01 00:00:00, expected 2020-08-28"):
        dated.score(y[:20], stamps=days(20))
    with pytest.raises(ValueError, match="y has 2 columns, expected 1 as in fit"):
        fitted.score(np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match="X has 1 column, expected 0 as in fit"):
        fitted.score(y[240:], y[240:])
    with pytest.raises(ValueError, match="X has 19 rows, expected 20"):
        fitted.score(y[240:], y[241:])
    with pytest.raises(ValueError, match="score is of one series"):
        fitted.score([y[240:], y[240:]])
    with pytest.raises(ValueError, match="score is of one series"):
        LSTMForecaster(**LINEAR).fit([y, y]).score(y)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        LSTMForecaster().score(y)


def test_errors_of_a_series_that_never_changed_have_no_unit() -> None:
    constant = np.stack([wave(120), np.full(120, 3.0)], axis=1)
    found = LSTMForecaster(**LINEAR).fit(constant[:100])
    with pytest.raises(ValueError, match="target 1 never changes in fit"):
        found.score(constant[100:])


def test_a_search_over_several_series_has_a_scorer_of_its_own() -> None:
    series = [wave(120 + n, seed=n) for n in range(4)]

    def walk(forecaster: LSTMForecaster, others: Any) -> float:
        return -forecaster.backtest(others, start=0.5).mase

    found = cross_val_score(LSTMForecaster(**LINEAR), series, cv=2, scoring=walk)
    assert found.shape == (2,)
    assert (found > -1).all()
