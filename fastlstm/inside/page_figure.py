"""Empty plots of the page, over its words."""

from __future__ import annotations

from typing import Any

from bokeh.plotting import figure


def plot_over(words: Any, height: int, title: str, **options: Any) -> Any:
    """Return an empty plot over the range of words, as wide as the page."""
    plot = figure(
        height=height, min_width=300, x_range=words, title=title, tools="", toolbar_location=None,
        sizing_mode="stretch_width", min_border_left=60, min_border_right=60, **options,
    )  # fmt: skip
    plot.xgrid.visible = plot.xaxis.visible = False
    plot.yaxis.minor_tick_line_color = None
    return plot


def legend_below(plot: Any) -> None:
    """Move the legend out of the plot."""
    plot.legend.orientation = "horizontal"
    plot.legend.border_line_color = None
    plot.legend.margin = plot.legend.padding = 2
    plot.add_layout(plot.legend[0], "below")
