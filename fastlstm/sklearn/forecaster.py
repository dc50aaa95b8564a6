"""A forecaster of series as an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastlstm.counts import count_of
from fastlstm.files.naming import named_path
from fastlstm.forecast.backtest import Backtest, backtest
from fastlstm.forecast.folder import ForecastFolder
from fastlstm.forecast.forecaster import Forecaster, ForecastOptions
from fastlstm.forecast.measures import naive_error
from fastlstm.forecast.net import NetOptions
from fastlstm.forecast.pandas import as_given
from fastlstm.forecast.paths import forecast_on
from fastlstm.forecast.saving import load_forecaster, save_forecaster
from fastlstm.forecast.series import Series
from fastlstm.nn.check import check_size
from fastlstm.nn.regression_losses import check_quantiles
from fastlstm.runtime import num_threads
from fastlstm.sklearn.given_series import (
    Floats,
    check_alike,
    continued,
    following,
    is_several,
    origin,
    read_all,
)
from fastlstm.sklearn.going_on import check_as_fitted, check_past, known_ahead, other_series
from fastlstm.sklearn.parameters import OF_FORECASTERS, check_parameters

NET_OPTIONS = (
    "cell", "hidden_size", "num_layers", "dropout", "lr", "weight_decay", "batch_size", "epochs",
    "patience", "average", "clip", "verbose",
)  # fmt: skip


class LSTMForecaster(BaseEstimator):
    """Forecasts series of numbers, with bands: a linear part and an LSTM, GRU or RNN on top of it.

    A ridge regression on the last `context` steps, the usual course of the season and all that is
    known ahead forecasts every step of the horizon at once; the net learns what it leaves over,
    and the quantiles. Both work on windows that are taken off their own mean. Parts at the end are
    held back and forecast from what is before them: that chooses the penalty of the ridge
    regression, the context, the epoch of the net and whether it has learned anything, and sets the
    width of the bands; it also says whether values far off the usual ones, as of failures, are read
    as missing, and for series that are never negative whether all is learned on a scale of roots or
    logarithms.

    A series is an array [T] or [T, targets], or a Series or DataFrame of pandas, whose index of
    times gives the stamps, and what is forecast then is like it. NaN is a missing value. A list of
    arrays is several series, of any lengths, for one global model.

    Parameters
    ----------
    horizon : steps that are forecast at once; `predict` goes further on its own forecasts.
        (``output_chunk_length`` in Darts, ``fh`` up to that number in sktime.)
    quantiles : that the bands show, between 0 and 1, in rising order.
    context : steps before a forecast that are read; None: two seasons, at least the horizon and
        8 more, and 32; of long series also 96 or 192 where that is better on what is held back.
        (``input_chunk_length`` in Darts, ``window_length`` in sktime.)
    season : its length in steps, 1 for none; None: found by autocorrelation. (``sp`` in sktime.)
    calendar : whether hour, weekday and day of the year are read where there are stamps.
    cell : "lstm", "gru" or "rnn".
    hidden_size, num_layers, dropout : of the recurrent layers.
    lr, weight_decay : of Adam; the rate falls to 0.
    batch_size : windows in a batch.
    epochs : most passes over the windows; None: about 3,000 batches, 4 to 100 passes; 0: the linear
        part alone.
    patience : stop after so many epochs without a better one; 0 for never.
    average : decay of a running average of the weights that replaces the last ones; 0 for none.
    clip : limit of the gradient's norm; 0 for none.
    validation_fraction : of each series, at least a horizon: how much is held back, its end and up
        to two parts before that.
    low, high : the least and the greatest number that a target can be: no forecast, and no band, is
        beyond. None for none, but of counts (whole numbers alone, none below 0) the least is 0; a
        `low` below 0 lets those be negative, too.
    random_state : int, RandomState or None. An int gives the same result bit for bit.
    n_threads : threads to use, which do not change the result; None for
        `fastlstm.get_num_threads`.
    verbose : 0 for silence, 1 for a line an epoch, 2 for a progress bar as well.

    Attributes
    ----------
    season_ : the season's length, 1 for none.
    context_ : the steps that are read; fewer than asked for where series are short.
    history_ : `fastlstm.train.History` of the net; None without one.
    n_features_in_ : the features F of X, 0 without any.
    """

    def __init__(
        self, *, horizon: int = 24, quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        context: int | None = None, season: int | None = None, calendar: bool = True,
        cell: str = "lstm", hidden_size: int = 64, num_layers: int = 1, dropout: float = 0.0,
        lr: float = 2e-3, weight_decay: float = 0.0, batch_size: int = 64,
        epochs: int | None = None, patience: int = 5, average: float = 0.98, clip: float = 1.0,
        validation_fraction: float = 0.15, low: float | None = None, high: float | None = None,
        random_state: Any = None, n_threads: int | None = None, verbose: int = 0,
    ) -> None:  # fmt: skip
        self.horizon = horizon
        self.quantiles = quantiles
        self.context = context
        self.season = season
        self.calendar = calendar
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.average = average
        self.clip = clip
        self.validation_fraction = validation_fraction
        self.low = low
        self.high = high
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(self, y: Any, X: Any = None, *, stamps: Any = None) -> LSTMForecaster:
        """Train on a series or a list of several.

        Parameters
        ----------
        y : the series; see the class.
        X : numbers [T, F] beside it that will be known of the future, too, such as prices or
            holidays; a list of these for several series.
        stamps : datetime64 [T], evenly spaced times, also months; a list of these for several
            series; None: those of a pandas index, if there are any.

        Raises
        ------
        TypeError, ValueError
            If a parameter or an argument is not what is expected, or a series is too short.
        FloatingPointError
            If training diverges.
        """
        options = self._options()
        series = read_all(y, X, stamps)
        check_alike(series)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with num_threads(self.n_threads):
            found = Forecaster.fit(series, ForecastOptions(**options, seed=seed))
        return self._hold(found, series, is_several(y), seed)

    def predict(
        self, horizon: int | None = None, X: Any = None, *, y: Any = None, stamps: Any = None,
        quantiles: Sequence[float] | None = None,
    ) -> Any:  # fmt: skip
        """Forecast the steps after the end of the series of `fit`, or of another one.

        Parameters
        ----------
        horizon : number of steps; None: the trained one. Beyond that the forecaster goes on from
            its own forecasts, up to 10,000 times as far, and the bands from many possible paths of
            them.
        X : [horizon, F] of these steps (a list for several series), if `fit` had an X; that of
            another series `y` begins where `y` does: [T + horizon, F].
        y : go on from this series, or these, in place of those of `fit`.
        stamps : of `y`.
        quantiles : forecast these, any between 0 and 1, in place of the median.

        Returns
        -------
        forecast : [horizon] or [horizon, targets] as the series was given, with one more axis for
            `quantiles`; a list for several series. For pandas objects without `quantiles` one with
            the index that goes on.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is expected, or does not fit what `fit` had.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "forecaster_")
        steps = check_size("horizon", self.horizon if horizon is None else horizon)
        self.forecaster_.framing.check_horizon(steps)
        levels = [0.5] if quantiles is None else check_quantiles(quantiles).tolist()
        self.forecaster_.check_levels(levels)
        several = self.several_ if y is None else is_several(y)
        series, ahead = self._going_on(y, X, stamps, steps, several)
        for one in series:
            following(one, steps)  # times that cannot be said are not forecast for minutes
        found = []
        with num_threads(self.n_threads):
            for one, known in zip(series, ahead, strict=True):
                values = forecast_on(
                    self.forecaster_,
                    one,
                    self.forecaster_.framing.scale_of(one.y),
                    steps,
                    known,
                    self.seed_,
                )
                values = self.forecaster_.at_levels(values, levels)
                found.append(as_given(values, one, point=quantiles is None))
        return found if several else found[0]

    def backtest(
        self, y: Any, start: Any = 0.8, horizon: int | None = None, X: Any = None, *,
        stamps: Any = None, stride: int = 1,
    ) -> Backtest:  # fmt: skip
        """Forecast from every origin of a series, without training again, and compare.

        Parameters
        ----------
        y : a series, or several, with the steps to be forecast, from its begin on.
        start : the first origin: so many steps are known there; a fraction of them; or a time,
            the first that is forecast.
        horizon : steps ahead; None: the trained horizon. Beyond that each origin has many paths
            of its own, as in `predict`, which takes its time: a larger `stride` saves it.
        X, stamps : of the whole series, as in `fit`.
        stride : steps from an origin to the next one.

        Returns
        -------
        result : with ``.mae``, ``.mase``, ``.smape``, ``.coverage``, ``.forecast``, ``.bands`` and
            ``.plot()``; see `fastlstm.forecast.Backtest`.

        Raises
        ------
        TypeError, ValueError, sklearn.exceptions.NotFittedError
            As of `predict`.
        """
        check_is_fitted(self, "forecaster_")
        steps = check_size("horizon", self.horizon if horizon is None else horizon)
        every = check_size("stride", stride)
        series = read_all(y, X, stamps, self.series_[0].index)
        check_as_fitted(series, self.series_[0], self.forecaster_.framing)
        starts = [origin(start, one) for one in series]
        with num_threads(self.n_threads):
            return backtest(
                self.forecaster_, series, starts, steps, list(self.quantiles), every, self.seed_
            )

    def score(self, y: Any, X: Any = None, *, stamps: Any = None) -> float:
        """Return how well the steps that came after the series of `fit` are forecast.

        They are forecast from every step on, `horizon` ahead or as many as there are, without
        training again. The score is minus the mean absolute error, each target's in units of its
        mean step from one value to the next in `fit`: no parameter changes the unit, 0 is best,
        and -1 is about as good as the last value. It is what `GridSearchCV` makes large, where
        `cv` splits by time, as `TimeSeriesSplit` does.

        Parameters
        ----------
        y : the steps right after those of `fit`, which was of one series.
        X, stamps : of these steps.

        Raises
        ------
        ValueError
            If they do not follow those of `fit`, which was of one series, or have other columns,
            or if a target never changed there.
        """
        check_is_fitted(self, "forecaster_")
        if self.several_ or is_several(y):
            raise ValueError(
                "score is of one series that goes on after fit; of several, backtest(y) tells how "
                "good forecasts are"
            )
        known = self.series_[0]
        series = continued(known, y, X, stamps)
        steps = min(self.horizon, len(series) - len(known))
        units = [naive_error(target) for target in known.y.T]
        if not all(units):
            raise ValueError(
                f"target {units.index(0)} never changes in fit, so that errors have no unit; "
                "backtest(y, start).mae is without one"
            )
        with num_threads(self.n_threads):
            found = backtest(self.forecaster_, [series], [len(known)], steps, [0.5])
        return -replace(found, scales=np.array([units])).mase

    def save(self, path: str | Path) -> None:
        """Write the fitted forecaster, and the series it goes on from, into one safetensors file.

        Errors as of `fastlstm.train.checkpoint.save`.
        """
        check_is_fitted(self, "forecaster_")
        params = {name: _plain(value) for name, value in self.get_params().items()}
        params["quantiles"] = [float(level) for level in self.quantiles]
        if not isinstance(self.random_state, int | None):
            params["random_state"] = None  # no file can hold a generator
        note = {"params": params, "seed": self.seed_, "several": self.several_}
        save_forecaster(path, self.forecaster_, self.series_, estimator=note)

    @classmethod
    def load(cls, path: str | Path) -> LSTMForecaster:
        """Return the forecaster of a file that `save` wrote, or of the folder of a run.

        That of ``fastlstm forecast`` goes on from the end of its table; several series are in the
        order in which they begin there.

        Raises
        ------
        OSError
            If there is no file, or the folder holds no finished forecast.
        CheckpointError
            If it is damaged, or of a run of an earlier version, which kept no series.
        """
        from fastlstm.train import checkpoint

        path = _model_of(named_path(path))
        forecaster, series, note = load_forecaster(path)
        if not series:
            raise checkpoint.CheckpointError(
                f"{path} holds a forecaster without its series: those of trials, and of runs of "
                "earlier versions, forecast by fastlstm forecast --from, or are trained anew"
            )
        with checkpoint.building(path):
            about = note["estimator"]
            params = about["params"]
            made = cls(**{**params, "quantiles": tuple(params["quantiles"])})
            made._options()
            return made._hold(forecaster, series, bool(about["several"]), int(about["seed"]))

    def _hold(
        self, forecaster: Forecaster, series: list[Series], several: bool, seed: int
    ) -> LSTMForecaster:
        self.forecaster_, self.series_, self.several_, self.seed_ = (
            forecaster,
            series,
            several,
            seed,
        )
        self.season_, self.context_ = forecaster.framing.season, forecaster.framing.context
        self.history_, self.n_features_in_ = forecaster.history, series[0].X.shape[1]
        return self

    def _options(self) -> dict[str, Any]:
        """Return the checked options of a forecaster."""
        check_parameters(self, OF_FORECASTERS)
        names = ("horizon", "quantiles", "context", "season", "calendar", "validation_fraction",
                 "low", "high")  # fmt: skip
        options: dict[str, Any] = {name: _plain(getattr(self, name)) for name in names}
        net = {name: _plain(getattr(self, name)) for name in NET_OPTIONS}
        return {**options, "net": NetOptions(**net)}

    def _going_on(
        self, y: Any, X: Any, stamps: Any, steps: int, several: bool
    ) -> tuple[list[Series], list[Floats]]:
        """Return the series to go on from, and the features of the steps that follow each."""
        F = self.n_features_in_
        if X is None and F:
            raise ValueError(
                f"X is missing: fit had {count_of(F, 'feature')}, which the future needs too"
            )
        if y is None:
            return self.series_, known_ahead(self.series_, X, steps, several)
        series, ahead = other_series(y, X, stamps, steps, several, self.series_[0])
        framing = self.forecaster_.framing
        check_as_fitted(series, self.series_[0], framing)
        check_past(series, framing)
        return series, ahead


def _model_of(path: Path) -> Path:
    """Return the model's file of the folder of a run, and a file as it is."""
    if not path.is_dir():
        return path
    folder = ForecastFolder(path)
    if not folder.finished:
        raise FileNotFoundError(f"{path} holds no finished forecast")
    return folder.model


def _plain(value: Any) -> Any:
    """Return a number of NumPy as Python's own, which files can hold."""
    return value.item() if isinstance(value, np.generic) else value
