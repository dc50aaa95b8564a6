"""How good a forecaster is on what it held back, in the units of the series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.forecaster import Fitted
from fastlstm.forecast.ridge import chunks
from fastlstm.forecast.scaling import OFFSET
from fastlstm.forecast.windows import Windows

Floats = NDArray[np.float64]


def judged(fitted: Fitted) -> dict[str, float]:
    """Return the measures of the forecasts of the windows held back.

    These are "mae", the mean absolute error of the median in the units of the series, and "loss",
    the mean pinball loss of all quantiles in standard deviations of each target. What was not
    measured counts nowhere.
    """
    made, (held, ridge), scales = fitted
    middle = made.quantiles.index(0.5)
    values = made.calibration(made.on_windows(held, ridge), middle)
    actual = np.concatenate([_actual(held, rows) for rows in chunks(len(held))])
    ends = np.cumsum(held.counts)[:-1]
    off, losses = [], []
    for scale, found, came in zip(
        scales, np.split(values, ends), np.split(actual, ends), strict=True
    ):
        apart = scale.back(came)[..., None] - made.framing.within(scale.back(found))
        off.append(np.abs(apart[..., middle]).reshape(-1))
        unit = (scale.offset / OFFSET)[:, None]
        losses.append((_pinball(apart, made.quantiles) / unit).reshape(-1))
    return {"mae": _mean(off), "loss": _mean(losses)}


def _actual(held: Windows, rows: slice) -> Floats:
    window = held[rows]
    return window.target + window.level


def _pinball(apart: Floats, quantiles: list[float]) -> Floats:
    levels = np.array(quantiles)
    return np.maximum(levels * apart, (levels - 1) * apart)


def _mean(parts: list[Floats]) -> float:
    return float(np.nanmean(np.concatenate(parts)))
