"""Gradient boosting on lagged features, to compare with: trees of scikit-learn, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.framing import Framing
from fastlstm.forecast.scaling import Scale
from fastlstm.forecast.series import Series

Floats = NDArray[np.float64]


def boosted(
    framing: Framing, series: Sequence[Series], starts: Sequence[int],
    origins: Sequence[NDArray[np.intp]], horizon: int, seed: int,
) -> Floats | None:  # fmt: skip
    """Return the forecasts [N, horizon, K] of gradient boosting; None without scikit-learn.

    Each target has a `HistGradientBoostingRegressor` with its defaults, trained on what is before
    the starts of all series, each taken to mean 0 and spread 1 there. It reads the last `context`
    values, that of a season ago, the calendar and the covariates of the step that it forecasts;
    further steps go on from its own forecasts.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ModuleNotFoundError:
        return None
    lags = _lags(framing)
    known = [_known(framing, one) for one in series]
    scales = [Scale.of(one.y[:start], "linear") for one, start in zip(series, starts, strict=True)]
    found = np.empty((sum(map(len, origins)), horizon, series[0].y.shape[1]))
    for k in range(found.shape[2]):
        ys = [scale.there(one.known_y)[:, k] for one, scale in zip(series, scales, strict=True)]
        rows = [np.arange(lags[-1], start) for start in starts]
        model = HistGradientBoostingRegressor(random_state=seed)
        model.fit(
            np.concatenate(
                [_features(y, at, lags, x) for y, at, x in zip(ys, rows, known, strict=True)]
            ),
            np.concatenate([y[at] for y, at in zip(ys, rows, strict=True)]),
        )
        parts = [
            _forecasts(model, y, at, horizon, lags, x) * scale.spread[k] + scale.mean[k]
            for y, at, x, scale in zip(ys, origins, known, scales, strict=True)
        ]
        found[..., k] = np.concatenate(parts)
    return found


def _lags(framing: Framing) -> Sequence[int]:
    lags = {*range(1, framing.context + 1)}
    if framing.has_usual:
        lags.add(framing.season)
    return sorted(lags)


def _known(framing: Framing, series: Series) -> Floats:
    """Return what is known of each step: calendar and covariates."""
    parts = [series.X]
    if framing.calendar.circles and series.stamps is not None:
        parts.append(framing.calendar.features(series.stamps))
    return np.concatenate(parts, axis=1)


def _features(y: Floats, rows: Any, lags: Sequence[int], known: Floats) -> Floats:
    return np.concatenate([y[rows[:, None] - np.array(lags)], known[rows]], axis=1)


def _forecasts(
    model: Any, y: Floats, origins: Any, horizon: int, lags: Sequence[int], known: Floats
) -> Floats:
    """Return [N, horizon], each step with the forecasts of the steps before it among its lags."""
    most = lags[-1]
    past = np.empty((len(origins), most + horizon))
    past[:, :most] = y[origins[:, None] - most + np.arange(most)]
    for h in range(horizon):
        values = past[:, most + h - np.array(lags)]
        past[:, most + h] = model.predict(np.concatenate([values, known[origins + h]], axis=1))
    return past[:, most:]
