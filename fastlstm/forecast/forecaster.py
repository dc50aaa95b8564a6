"""A forecaster of series: a linear part, and a net that learns what it leaves over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.calibration import Calibration
from fastlstm.forecast.framing import SHARE, Framing, held_back
from fastlstm.forecast.levels import with_median
from fastlstm.forecast.net import (
    NetOptions,
    begin_with,
    left_over,
    make_net,
    net_input,
    train_net,
)
from fastlstm.forecast.ridge import PENALTIES, Ridge, chunks
from fastlstm.forecast.scaling import KINDS, OFFSET, Scale
from fastlstm.forecast.series import Series
from fastlstm.forecast.windows import Ints, Windows
from fastlstm.nn.regression_losses import check_quantiles

Floats = NDArray[np.float64]

BENT = 0.97  # of the error of another scale, for one that bends more
LONG, LONGER = 0.99, (96, 192)  # likewise of the error of a shorter context, and what is tried
BATCH = 512  # windows of a batch without a backward pass


@dataclass(frozen=True)
class ForecastOptions:
    """How a forecaster is made and trained; see `fastlstm.sklearn.LSTMForecaster`."""

    horizon: int = 24
    quantiles: Sequence[float] = (0.1, 0.5, 0.9)
    context: int | None = None
    season: int | None = None
    calendar: bool = True
    validation_fraction: float = 0.15
    net: NetOptions = field(default_factory=NetOptions)
    seed: int = 0
    checkpoint: Path | None = None


class Forecaster:
    """Forecasts `horizon` steps of series at once, from what was before and what is known ahead.

    Attributes
    ----------
    quantiles : of the forecasts, 0.5 among them.
    framing, ridge, net, calibration : what was learned.
    history : of the net's training.
    """

    def __init__(
        self, framing: Framing, ridge: Ridge, net: Any, calibration: Calibration,
        quantiles: Sequence[float], history: Any = None,
    ) -> None:  # fmt: skip
        self.framing, self.ridge, self.net, self.calibration = framing, ridge, net, calibration
        self.quantiles, self.history = list(quantiles), history

    @classmethod
    def fit(cls, series: Sequence[Series], options: ForecastOptions) -> Forecaster:
        """Return a forecaster trained on series; ValueError if they are too short.

        The last part in time of each is held back: it chooses the scale, the penalty of the linear
        part and the epoch of the net, and sets the width of the bands.
        """
        check_quantiles(options.quantiles)
        quantiles = with_median(options.quantiles)
        check_lengths(series, options.horizon)
        framing = Framing.of(
            series, options.horizon, options.context, options.season, options.calendar,
            options.validation_fraction,
        )  # fmt: skip
        _, framing, ridge, penalty = _best_linear(series, framing, options)
        train, held, whole = _windows(series, framing, options)
        net = make_net(train, quantiles, options.net, options.seed)
        begin_with(net, left_over(train, ridge, quantiles))
        history = None
        if options.net.epochs != 0:
            history = train_net(
                net, train, held, ridge, options.net, options.seed, options.checkpoint
            )
        made = cls(framing, ridge, net, Calibration(), quantiles, history)
        made.calibration = Calibration.of(made, held)
        made.ridge = Ridge.fit(whole, [penalty])[0]
        return made

    def at(self, series: Series, origins: Ints, scale: Scale) -> Floats:
        """Return the quantiles [N, H, K, Q] forecast at origins within a series.

        Number n has the first n steps as its past. The scale is that of what was known first.
        """
        return self.on([self.framing.frame(series, scale)], [origins], [scale])

    def after(
        self, series: Sequence[Series], scales: Sequence[Scale], X: Sequence[Floats]
    ) -> Floats:
        """Return the quantiles [N, H, K, Q] forecast after the end of N series."""
        frames = [self.framing.frame(*one) for one in zip(series, scales, X, strict=True)]
        return self.on(frames, [np.array([len(one)]) for one in series], scales)

    def on(self, frames: Any, origins: Any, scales: Sequence[Scale]) -> Floats:
        """Return the quantiles [N, H, K, Q] forecast at origins of frames."""
        windows = Windows(frames, origins, self.framing.context, self.framing.horizon)
        values = self.calibration(self.on_windows(windows), self.quantiles.index(0.5))
        ends = np.cumsum(windows.counts)[:-1]
        parts = zip(scales, np.split(values, ends), strict=True)
        return np.concatenate([scale.back(part) for scale, part in parts])

    def on_windows(self, windows: Windows) -> Floats:
        """Return the quantiles [N, H, K, Q] on the scale of the frames, as the net gives them."""
        parts = []
        for rows in chunks(len(windows), BATCH):
            window = windows[rows]
            left = self.net(net_input(window)).astype(np.float64)
            values = self.ridge(window)[..., None] + left
            parts.append(values + window.level[..., None])
        return np.concatenate(parts)


def check_lengths(series: Sequence[Series], horizon: int) -> None:
    """Raise ValueError if a series is too short to learn and to validate a horizon."""
    least = 3 * horizon + 8
    for n, one in enumerate(series):
        if len(one) < least:
            which = f"series {n}" if len(series) > 1 else "the series"
            raise ValueError(
                f"{which} has {len(one)} steps, expected at least {least} to learn a horizon of "
                f"{horizon}: give more, or a shorter horizon"
            )


def _windows(
    series: Sequence[Series], framing: Framing, options: ForecastOptions
) -> tuple[Windows, Windows, Windows]:
    """Return the windows to train on, those held back, and all."""
    H, first = framing.horizon, framing.first
    frames = [framing.frame(one, framing.scale_of(one.y)) for one in series]
    cuts = [len(one) - held_back(len(one), options.validation_fraction, H) for one in series]
    ends = [len(one) - H + 1 for one in series]
    spans: Any = (
        [(first, cut - H + 1) for cut in cuts],
        list(zip(cuts, ends, strict=True)),
        [(first, end) for end in ends],
    )
    train, held, whole = (
        Windows(frames, [np.arange(*one) for one in span], framing.context, H) for span in spans
    )
    return train, held, whole


class _Linear(NamedTuple):
    """A linear part and its mean absolute error on what is held back."""

    error: float
    framing: Framing
    ridge: Ridge
    penalty: float


def _best_linear(series: Sequence[Series], framing: Framing, options: ForecastOptions) -> _Linear:
    """Return the linear part of the scale, the context and the penalty of least error.

    A scale that bends must be clearly better than one that does not, and a longer context than
    the usual one, which is tried only if none is asked for.
    """
    best = _linear(series, framing, options)
    if all(np.nanmin(one.y) >= 0 for one in series):
        for kind in KINDS[1:]:
            bent = _linear(series, replace(framing, kind=kind), options)
            best = bent if bent.error < BENT * best.error else best
    most = min(map(len, series)) // SHARE
    for context in () if options.context else LONGER:
        if best.framing.context < context <= most:
            longer = _linear(series, replace(best.framing, context=context), options)
            best = longer if longer.error < LONG * best.error else best
    return best


def _linear(series: Sequence[Series], framing: Framing, options: ForecastOptions) -> _Linear:
    """Return the linear part with the penalty of least error."""
    train, held, _ = _windows(series, framing, options)
    ridges = Ridge.fit(train, PENALTIES)
    errors = _errors(held, ridges, [framing.scale_of(one.y) for one in series])
    n = int(np.argmin(errors))
    return _Linear(float(errors[n]), framing, ridges[n], PENALTIES[n])


def _errors(held: Windows, ridges: Sequence[Ridge], scales: Sequence[Scale]) -> Floats:
    """Return the mean absolute error of each linear part, in standard deviations of the series."""
    total, count, start = np.zeros(len(ridges)), 0, 0
    for scale, size in zip(scales, held.counts, strict=True):
        unit = scale.offset / OFFSET
        for rows in chunks(size):
            window = held[rows.start + start : rows.stop + start]
            actual = scale.back(window.target + window.level)
            count += int((~np.isnan(actual)).sum())
            for n, ridge in enumerate(ridges):
                off = np.abs(actual - scale.back(ridge(window) + window.level)) / unit
                total[n] += np.nansum(off)
        start += size
    return total / max(1, count)
