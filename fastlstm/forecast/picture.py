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

PANELS = 4  # targets drawn, of one series or several
PIECES = 6  # forecasts drawn of a backtest


class Piece(NamedTuple):
    """A forecast: its times [H], the point forecasts [H, K] and the quantiles [H, K, Q]."""

    times: Any
    point: Floats
    bands: Floats


class Drawn(NamedTuple):
    """What is drawn of a series: what was measured, [T, K], and forecasts.

    `name` stands before those of the targets.
    """

    times: Any
    actual: Floats
    pieces: Sequence[Piece]
    names: Sequence[str]
    name: str = ""


def draw_forecasts(series: Sequence[Drawn], title: str, told: str) -> Any:
    """Return a figure of series, a panel for each target; `told` says what the bands are.

    Raises ImportError without matplotlib.
    """
    chosen = [(one, k) for one in series for k in range(one.actual.shape[1])][:PANELS]
    figure = new_figure(9, 1.2 + 2.6 * len(chosen))
    # the times of several series are each their own
    panels = np.atleast_1d(figure.subplots(len(chosen), 1, sharex=len(series) == 1))
    for axes, (one, k) in zip(panels, chosen, strict=True):
        _draw_target(axes, one, k, told)
        if len(series) > 1 or axes is panels[-1]:
            _time_axis(axes, one.times)
    panels[0].legend(
        frameon=False, fontsize=8, ncols=3, loc="upper right", bbox_to_anchor=(1, 1.16)
    )
    figure.suptitle(fitted(title, 8.6, 10), fontsize=10, color=QUIET)
    return figure


def _draw_target(axes: Any, one: Drawn, k: int, told: str) -> None:
    """Draw what was measured of a target, and its forecasts."""
    axes.plot(one.times, one.actual[:, k], color=QUIET, linewidth=1.1, label="measured")
    for n, piece in enumerate(one.pieces):
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
    name = f"{one.name}: {one.names[k]}" if one.name else one.names[k]
    axes.set_title(fitted(name, 8.6, 10), loc="left", fontsize=10)


def _draw_band(axes: Any, times: Any, bands: Floats, **label: str) -> None:
    """Draw what is between the outermost quantiles [H, Q]; a bar for one step."""
    look = {"color": LOW, "alpha": 0.22, **label}
    if len(times) == 1:
        axes.vlines(times, bands[:, 0], bands[:, -1], linewidth=6, **look)
    else:
        axes.fill_between(times, bands[:, 0], bands[:, -1], linewidth=0, **look)


def _time_axis(axes: Any, times: Any) -> None:
    """Write few and short dates below a panel, or what its numbers are."""
    if not np.issubdtype(np.asarray(times).dtype, np.datetime64):
        axes.set_xlabel("step")
        return
    dates: Any = import_module("matplotlib.dates")
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def draw_run(path: Path, found: Backtest, futures: Sequence[Floats], names: Sequence[str]) -> None:
    """Write a PNG of the last forecasts of a backtest, and of the future of each series.

    The latter are [H, K, 1 + Q]; `names` are those of the series, "" of the only one.
    """
    more = []
    for series, future in zip(found.series[:PANELS], futures[:PANELS], strict=True):
        times: Any = series.stamps
        after = find_spacing(times).after(times[-1], len(future))
        more.append([Piece(after, future[..., 0], future[..., 1:])])
    save_png(path, _figure(found, more, names[:PANELS]))


def draw_backtest(found: Backtest, path: str | Path | None = None) -> Any:
    """Return a figure of the last forecasts of the first series, of each one after another."""
    count = min(len(found.series), PANELS)
    names = [f"series {n}" for n in range(count)] if count > 1 else [""]
    figure = _figure(found, [[]] * count, names)
    if path is not None:
        save_png(path, figure)
    return figure


def _figure(found: Backtest, more: Sequence[Sequence[Piece]], names: Sequence[str]) -> Any:
    """Return the figure of the first series, each with `more` pieces and its name."""
    return draw_forecasts(
        [_last_of(found.of(n), name, pieces)
         for n, (name, pieces) in enumerate(zip(names, more, strict=True))],
        f"forecasts of {count_of(found.forecast.shape[1], 'step')}, mean absolute error "
        f"{found.mae:.4g}",
        band_told(found.quantiles),
    )  # fmt: skip


def _last_of(found: Backtest, name: str, more: Sequence[Piece]) -> Drawn:
    """Return what is drawn of a backtest of one series: its last forecasts, and `more`."""
    rows = np.arange(len(found.origins))
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
    return Drawn(times[begin:end], series.y[begin:end], [*pieces, *more], series.names, name)


def band_told(quantiles: Sequence[float]) -> str:
    """Return what lies between the outermost quantiles, for a legend."""
    return f"{100 * (quantiles[-1] - quantiles[0]):.3g} % band"
