"""Where matplotlib is asked for, and colours that all pictures share."""

from __future__ import annotations

from typing import Any

QUIET, LINE, LOW, HIGH = "#667085", "#1f6fb2", "#d1602b", "#2b8a5a"


def new_figure(width: float, height: float, dpi: int = 120) -> Any:
    """Return an empty figure, in inches, that no window shows.

    Raises
    ------
    ImportError
        If matplotlib is not installed; says how to get it.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib: pip install 'fastlstm[plot]'", name="matplotlib"
        ) from error
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
