"""Pictures of forecasts with their bands."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.forecast.stamps import find_spacing
from fastlstm.plotting import LOW, QUIET, fitted, new_figure, plain_axes, save_png

if TYPE_CHECKING:
    from fastlstm.forecast.backtest import Backtest

Floats = NDArray[np.float64]

PANELS = 4  # targets drawn
PIECES = 6  # forecasts drawn of a backtest


class Piece(NamedTuple):
    """A forecast: its times [H], the point forecasts [H, K] and the quantiles [H, K, Q]."""

    times: Any
    point: Floats
    bands: Floats


def draw_forecasts(
    times: Any, actual: Floats, pieces: Sequence[Piece], title: str, names: Sequence[str],
    told: str,
) -> Any:  # fmt: skip
    """Return a figure of what was measured, [T, K], and forecasts; `told` says what the bands are.

    Raises ImportError without matplotlib.
    """
    K = min(actual.shape[1], PANELS)
    figure = new_figure(9, 1.2 + 2.6 * K)
    panels = np.atleast_1d(figure.subplots(K, 1, sharex=True))
    for k, axes in enumerate(panels):
        axes.plot(times, actual[:, k], color=QUIET, linewidth=1.1, label="measured")
        for n, piece in enumerate(pieces):
            label = {"label": "forecast"} if n == 0 else {}
            band = {"label": told} if n == 0 else {}
            if piece.bands.shape[2] > 1:  # one quantile has no band
                _draw_band(axes, piece.times, piece.bands[:, k], **band)
            marker = "o" if len(piece.times) == 1 else ""  # a line of one step is not seen
            axes.plot(piece.times, piece.point[:, k], color=LOW, linewidth=1.4, marker=marker,
                      markersize=4, **label)  # fmt: skip
            axes.axvline(piece.times[0], color=QUIET, linewidth=0.6, linestyle=":")
        plain_axes(axes)
        axes.margins(x=0.01)
        axes.set_title(fitted(names[k], 8.6, 10), loc="left", fontsize=10)
    panels[0].legend(
        frameon=False, fontsize=8, ncols=3, loc="upper right", bbox_to_anchor=(1, 1.16)
    )
    if np.issubdtype(np.asarray(times).dtype, np.datetime64):
        _date_axis(panels[-1])
    else:
        panels[-1].set_xlabel("step")
    figure.suptitle(fitted(title, 8.6, 10), fontsize=10, color=QUIET)
    return figure


def _draw_band(axes: Any, times: Any, bands: Floats, **label: str) -> None:
    """Draw what is between the outermost quantiles [H, Q]; a bar for one step."""
    look = {"color": LOW, "alpha": 0.22, **label}
    if len(times) == 1:
        axes.vlines(times, bands[:, 0], bands[:, -1], linewidth=6, **look)
    else:
        axes.fill_between(times, bands[:, 0], bands[:, -1], linewidth=0, **look)


def _date_axis(axes: Any) -> None:
    """Write few and short dates below a panel."""
    dates: Any = import_module("matplotlib.dates")
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def draw_run(path: Path, found: Backtest, future: Floats) -> None:
    """Write a PNG of the last forecasts of a backtest, and of the future, [H, K, 1 + Q]."""
    times: Any = found.series[0].stamps
    after = find_spacing(times).after(times[-1], len(future))
    save_png(path, _figure(found, [Piece(after, future[..., 0], future[..., 1:])]))


def draw_backtest(found: Backtest, path: str | Path | None = None) -> Any:
    """Return a figure of the last forecasts of the first series, one after another."""
    figure = _figure(found)
    if path is not None:
        save_png(path, figure)
    return figure


def _figure(found: Backtest, more: Sequence[Piece] = ()) -> Any:
    rows = np.flatnonzero(found.which == 0)
    H = found.forecast.shape[1]
    stride = int(found.origins[1] - found.origins[0]) if len(rows) > 1 else 1
    chosen = rows[::-1][:: -(-H // stride)][:PIECES][::-1]
    series, end = found.series[0], int(found.origins[chosen[-1]]) + H
    begin = max(0, int(found.origins[chosen[0]]) - max(H, 24))
    times: Any = np.arange(len(series)) if series.stamps is None else series.stamps
    pieces = [
        Piece(
            times[(at := int(found.origins[row])) : at + H], found.forecast[row], found.bands[row]
        )
        for row in chosen
    ]
    return draw_forecasts(
        times[begin:end], series.y[begin:end], [*pieces, *more],
        f"forecasts of {count_of(H, 'step')}, mean absolute error {found.mae:.4g}",
        series.names, band_told(found.quantiles),
    )  # fmt: skip


def band_told(quantiles: Sequence[float]) -> str:
    """Return what lies between the outermost quantiles, for a legend."""
    return f"{100 * (quantiles[-1] - quantiles[0]):.3g} % band"
