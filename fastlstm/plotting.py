"""Pictures: figures without a window, their common style, and PNG files."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from fastlstm.files.naming import named_path
from fastlstm.files.writing import write_file
from fastlstm.lettering import prepare
from fastlstm.printable import cut

# Blue and orange differ for any colour vision.
QUIET, LINE, LOW, HIGH = "#667085", "#1f6fb2", "#d1602b", "#1f6fb2"
TRAIN, VALIDATION = LINE, LOW
NET, LINEAR = "#009e73", "#cc79a7"  # of two parts; these differ likewise
LETTER = 0.62  # mean width of a letter, as a fraction of the font size


def new_figure(width: float, height: float, dpi: int = 150, layout: Any = "constrained") -> Any:
    """Return an empty figure, its size in inches; ImportError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib: pip install 'fastlstm[plot]'", name="matplotlib"
        ) from error
    figure = Figure(figsize=(width, height), dpi=dpi, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Any, lines: str = "y") -> None:
    """Remove the upper and right side of the frame, and draw a pale grid behind everything."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=lines, color="#e4e7ec", linewidth=0.8)
    axes.set_axisbelow(True)


def fitted(text: str, inches: float, size: float) -> str:
    """Return text with lines cut to fit into so many inches, in letters of that size."""
    most = max(int(inches * 72 / (LETTER * size)), 8)
    return "\n".join(cut(line, most) for line in text.split("\n"))


def to_png(figure: Any, **options: Any) -> bytes:
    """Return a PNG file of the figure; `options` are those of ``savefig``, text as `prepare`."""
    prepare(figure)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # `prepare` warns
        figure.savefig(buffer, format="png", **options)
    return buffer.getvalue()


def save_png(path: str | Path, figure: Any) -> None:
    """Write the picture; OSError, which names the file, if that fails."""
    write_file(named_path(path), to_png(figure))
