"""Forecasting series: seasons, windows, measures, the walk forward and what is forecast with.

`fastlstm.sklearn.LSTMForecaster` is the estimator on top, ``fastlstm forecast`` the command.
"""

from fastlstm.forecast.backtest import Backtest
from fastlstm.forecast.measures import coverage, mae, mase, naive_error, smape
from fastlstm.forecast.naive import seasonal_naive
from fastlstm.forecast.season import find_season

__all__ = [
    "Backtest",
    "coverage",
    "find_season",
    "mae",
    "mase",
    "naive_error",
    "seasonal_naive",
    "smape",
]
