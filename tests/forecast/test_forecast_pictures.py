"""Pictures of forecasts: what is drawn of few steps and few quantiles."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from waves import wave

from fastlstm.sklearn import LSTMForecaster


def drawn(**params: Any) -> Any:
    """Return the panel of a forecaster's walk forward."""
    y = wave()[:200]
    forecaster = LSTMForecaster(epochs=0, season=12, random_state=0, **params).fit(y)
    return forecaster.backtest(y).plot().axes[0]


def labels(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_forecasts_of_one_step_are_seen() -> None:
    axes = drawn(horizon=1)
    forecasts = [line for line in axes.lines if line.get_marker() == "o"]
    assert forecasts
    assert all(len(line.get_xdata()) == 1 for line in forecasts)
    bars = [band.get_segments()[0] for band in axes.collections]
    assert len(bars) == len(forecasts)
    for line, bar in zip(forecasts, bars, strict=True):
        assert bar[0, 1] < line.get_ydata()[0] < bar[1, 1]
    assert labels(axes) == ["measured", "80 % band", "forecast"]


def test_one_quantile_has_no_band() -> None:
    assert labels(drawn(horizon=6, quantiles=[0.5])) == ["measured", "forecast"]


def test_each_of_the_first_series_has_a_panel() -> None:
    y = wave()
    forecaster = LSTMForecaster(epochs=0, season=12, horizon=6, random_state=0)
    found = forecaster.fit([y[:200], 5 + y[:150]]).backtest([y[:200], 5 + y[:150]])
    panels = found.plot().axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "series 0: target 0",
        "series 1: target 0",
    ]
    ends = [max(line.get_xdata()[-1] for line in axes.lines) for axes in panels]
    assert ends == [199, 149]
    assert labels(panels[0]) == ["measured", "80 % band", "forecast"]
    many = forecaster.backtest([y[:200]] * 6)
    assert len(many.plot().axes) == 4


def test_a_part_of_a_walk_is_that_of_one_series() -> None:
    y = wave()
    forecaster = LSTMForecaster(epochs=0, season=12, horizon=6, random_state=0)
    forecaster.fit([y[:200], 5 + y[:150]])
    both = forecaster.backtest([y[:200], 5 + y[:150]])
    alone = forecaster.backtest([5 + y[:150]])
    part = both.of(1)
    assert (part.mae, part.mase, part.coverage) == (alone.mae, alone.mase, alone.coverage)
    assert part.plot().axes[0].get_title(loc="left") == "target 0"
