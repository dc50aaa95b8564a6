"""A forecaster of series: a linear part, and a net that learns what it leaves over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.counts import count_of
from fastlstm.forecast.calibration import Calibration
from fastlstm.forecast.framing import Framing
from fastlstm.forecast.levels import at_levels, with_median
from fastlstm.forecast.linear import Fold, Linear, best_linear
from fastlstm.forecast.net import (
    BATCH,
    NetOptions,
    begin_with,
    is_taught,
    left_over,
    make_net,
    net_input,
    train_net,
)
from fastlstm.forecast.ridge import Ridge, chunks
from fastlstm.forecast.scaling import Scale
from fastlstm.forecast.series import Series
from fastlstm.forecast.windows import Ints, Windows
from fastlstm.nn.regression_losses import check_quantiles
from fastlstm.train.listener import Listener

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ForecastOptions:
    """How a forecaster is made and trained; see `fastlstm.sklearn.LSTMForecaster`.

    `linear` finds the linear part, as `best_linear` does; `listeners` returns those of the net's
    training, given what it begins with.
    """

    horizon: int = 24
    quantiles: Sequence[float] = (0.1, 0.5, 0.9)
    context: int | None = None
    season: int | None = None
    calendar: bool = True
    validation_fraction: float = 0.15
    low: float | None = None
    high: float | None = None
    net: NetOptions = field(default_factory=NetOptions)
    seed: int = 0
    checkpoint: Path | None = None
    linear: Callable[[Sequence[Series], Framing, float, bool], Linear] = best_linear
    listeners: Callable[[Fitted], Sequence[Listener]] = lambda begun: ()


class Fitted(NamedTuple):
    """A forecaster, and what it was not trained on.

    Attributes
    ----------
    forecaster : trained, or as its net begins.
    held : the last windows of the series, with the linear part of what is before them: they chose
        the epoch of the net.
    scales : of the series.
    """

    forecaster: Forecaster
    held: Fold
    scales: list[Scale]


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
        """Return a forecaster trained on series; see `fitted`."""
        return fitted(series, options).forecaster

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
        return self.framing.within(np.concatenate([scale.back(part) for scale, part in parts]))

    def check_levels(self, levels: Sequence[float]) -> None:
        """Raise ValueError if other quantiles are asked for, and the median alone was learned."""
        if len(self.quantiles) == 1 and set(levels) != set(self.quantiles):
            raise ValueError(
                f"quantiles is {list(levels)}, but fit learned the median alone: give it quantiles="
            )

    def at_levels(self, values: Floats, levels: ArrayLike) -> Floats:
        """Return forecast quantiles [..., K, Q] at other levels [M], as [..., K, M]."""
        return self.framing.within(at_levels(values, self.quantiles, levels))

    def on_windows(self, windows: Windows, ridge: Ridge | None = None) -> Floats:
        """Return the quantiles [N, H, K, Q] on the scale of the frames, as the net gives them.

        `ridge` is another linear part in place of the own one.
        """
        ridge, parts = ridge or self.ridge, []
        for rows in chunks(len(windows), BATCH):
            window = windows[rows]
            left = self.net(net_input(window)).astype(np.float64)
            values = ridge(window)[..., None] + left
            parts.append(values + window.level[..., None])
        return np.concatenate(parts)


def fitted(series: Sequence[Series], options: ForecastOptions) -> Fitted:
    """Return a forecaster trained on series; ValueError if they are too short.

    The last part in time of each is held back: it chooses the scale, the penalty of the linear
    part and the epoch of the net, and sets the width of the bands.
    """
    check_quantiles(options.quantiles)
    quantiles = with_median(options.quantiles)
    check_lengths(series, options.horizon)
    fraction = options.validation_fraction
    framing = Framing.of(
        series, options.horizon, options.context, options.season, options.calendar, fraction,
        (options.low, options.high),
    )  # fmt: skip
    found = options.linear(series, framing, fraction, not options.context)
    train, (held, ridge) = found.train, found.folds[-1]
    net = make_net(train, quantiles, options.net, options.seed)
    left = left_over(train, ridge, quantiles)
    if found.naive is not None:  # its drift is chance, too
        left -= found.share * left_over(train, found.naive, [0.5])
    begin_with(net, left)
    made = Forecaster(found.framing, found.ridge, net, Calibration(), quantiles)
    whole = Fitted(made, found.folds[-1], [made.framing.scale_of(one.y) for one in series])
    if options.net.epochs != 0:
        made.history = train_net(
            net, train, held, ridge, options.net, options.seed, options.checkpoint,
            options.listeners(whole),
        )  # fmt: skip
    # what the net has learned it has learned before the last fold
    made.calibration = Calibration.of(made, found.folds[-1:] if is_taught(net) else found.folds)
    return whole


def check_lengths(series: Sequence[Series], horizon: int) -> None:
    """Raise ValueError if a series is too short to learn and to validate a horizon."""
    least = 3 * horizon + 8
    for n, one in enumerate(series):
        if len(one) < least:
            which = f"series {n}" if len(series) > 1 else "the series"
            raise ValueError(
                f"{which} has {count_of(len(one), 'step')}, expected at least {least} to learn a "
                f"horizon of {horizon}: give more, or a shorter horizon"
            )
