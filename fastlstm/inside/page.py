"""A text as a classifier reads it, as one interactive page that needs nothing else."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.inside.collect import Inspection
from fastlstm.inside.page_units import draw_units, legend_below, new_plot
from fastlstm.inside.picture import marked_words
from fastlstm.inside.terminal import summarize
from fastlstm.plotting import HIGH, LINE, LOW, QUIET
from fastlstm.train.files import write_file


def write_page(
    path: str | Path, inspection: Inspection, title: str = "What the model read"
) -> None:
    """Write an HTML page: hover a word for its values, choose a gate, pick units.

    All scripts are in the file: it opens without a network, from anywhere.

    Parameters
    ----------
    path : of the file.
    inspection : from `inspect_text`.
    title : of the page.

    Raises
    ------
    ImportError
        If bokeh is not installed.
    OSError
        If the file cannot be written.
    """
    check_bokeh()
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    html = file_html(_layout(inspection, title), resources=INLINE, title=title)
    write_file(Path(path), html.encode())


def check_bokeh() -> None:
    """Raise ImportError, and say how to install it, unless bokeh is there."""
    try:
        import bokeh.embed  # noqa: F401
    except ImportError as error:
        raise ImportError("pages need bokeh: pip install 'fastlstm[html]'", name="bokeh") from error


def _layout(inspection: Inspection, title: str) -> Any:
    from bokeh.layouts import column
    from bokeh.models import Div, Range1d

    words = Range1d(-0.6, len(inspection.words) - 0.4, bounds="auto")
    source = _word_source(inspection)
    head = Div(text=_heading(inspection, title), sizing_mode="stretch_width")
    figures = [
        _words_strip(inspection, source, words),
        _prediction(inspection, source, words),
        *draw_units(inspection, words),
        _change(inspection, source, words),
    ]
    return column(head, *figures, sizing_mode="stretch_width", styles={"padding": "8px 16px"})


def _heading(inspection: Inspection, title: str) -> str:
    p, W = inspection.probabilities[-1], len(inspection.words)
    best = int(p.argmax())
    cut = f"the first {W} of {inspection.total} words" if W < inspection.total else f"{W} words"
    way = "backward" if inspection.direction else "forward"
    return (
        f"<h2 style='margin:0'>{escape(title)}</h2><p style='margin:4px 0;color:{QUIET}'>"
        f"<b>{escape(inspection.labels[best])}</b> ({p[best]:.1%}) after {cut}. Shown: "
        f"{inspection.cell.upper()} layer {inspection.layer}, reading {way}. Hover a word to see "
        "its values; choose a gate and pick units below. (?) marks words that are not in "
        "the vocabulary.</p>"
    )


def _word_source(inspection: Inspection) -> Any:
    """Return a row for each word: what hovering tells, and what is drawn of it."""
    from bokeh.models import ColumnDataSource

    P, moved = inspection.probabilities, np.linalg.norm(inspection.change, axis=1)
    best = P.argmax(axis=1)
    data: dict[str, Any] = {
        "w": np.arange(len(inspection.words)),
        "word": inspection.words,
        "known": ["yes" if known else "no" for known in inspection.known],
        "said": [inspection.labels[k] for k in best],
        "p_said": P.max(axis=1),
        "p": P[:, inspection.shown_class],
        "moved": moved,
        "style": [("normal" if known else "italic") for known in inspection.known],
        "label": marked_words(inspection),
    }
    data.update(_columns(inspection))
    if inspection.added is not None and inspection.kept is not None:
        data["added"] = np.linalg.norm(inspection.added, axis=1)
        data["lost"] = np.linalg.norm(inspection.before - inspection.kept, axis=1)
        data["minus"] = -data["lost"]
    return ColumnDataSource(data)


def _columns(inspection: Inspection) -> dict[str, Any]:
    """Return the mean of each gate under a name that a tooltip can have."""
    return {f"mean_{name.strip('|')}": value for name, value in summarize(inspection).items()}


def _hover(inspection: Inspection, drawn: Any, mode: str = "vline") -> Any:
    """Return what shows a word's values when the pointer is above or below its mark."""
    from bokeh.models import HoverTool

    rows = [
        ("word", "@word"),
        ("in the vocabulary", "@known"),
        ("said after it", "@said (@p_said{0.000})"),
        *((f"mean {n}", f"@mean_{n.strip('|')}{{0.000}}") for n in summarize(inspection)),
        (f"{inspection.state} moved by", "@moved{0.00}"),
    ]
    if inspection.added is not None:
        rows += [("brought", "@added{0.00}"), ("let go", "@lost{0.00}")]
    return HoverTool(tooltips=rows, mode=mode, renderers=[drawn])


def _words_strip(inspection: Inspection, source: Any, words: Any) -> Any:
    """Return the words, each on the colour of what the model thinks after it."""
    from bokeh.models import LinearColorMapper, Range1d
    from bokeh.palettes import RdYlGn

    label = inspection.labels[inspection.shown_class]
    longest = max(map(len, marked_words(inspection)))
    plot = new_plot(
        words, 50 + min(8 * longest, 150), f"colour: probability of {label}, red 0 to green 1",
        y_range=Range1d(0, 1), name="words",
    )  # fmt: skip
    colour = LinearColorMapper(palette=RdYlGn[11][::-1], low=0, high=1)
    boxes = plot.rect("w", 0.5, 0.96, 1, source=source, line_color=None, fill_alpha=0.75,
                      fill_color={"field": "p", "transform": colour},
                      hover_line_color="black")  # fmt: skip
    plot.text("w", 0.06, text="label", angle=np.pi / 2, source=source, text_font_size="13px",
              text_baseline="middle", text_font_style="style")  # fmt: skip
    plot.yaxis.visible = plot.ygrid.visible = False
    plot.add_tools(_hover(inspection, boxes, "mouse"))
    return plot


def _prediction(inspection: Inspection, source: Any, words: Any) -> Any:
    from bokeh.models import Range1d, Span

    label = inspection.labels[inspection.shown_class]
    plot = new_plot(
        words, 150, f"probability of {label} after each word", y_range=Range1d(-0.03, 1.03)
    )
    plot.add_layout(Span(location=0.5, dimension="width", line_color=QUIET, line_dash="dotted"))
    plot.line("w", "p", source=source, line_color=LINE, line_width=2)
    dots = plot.scatter("w", "p", source=source, size=7, color=LINE, hover_fill_color=LOW)
    plot.add_tools(_hover(inspection, dots))
    return plot


def _change(inspection: Inspection, source: Any, words: Any) -> Any:
    plot = new_plot(words, 220, f"what each word did to {inspection.state} (norms)")
    if inspection.added is not None:
        plot.vbar("w", 0.8, "added", source=source, color=HIGH, legend_label="brought")
        plot.vbar("w", 0.8, "minus", source=source, color=LOW, legend_label="let go of the old")
    marks = plot.scatter("w", "moved", source=source, marker="diamond", size=9, color="black",
                         legend_label=f"{inspection.state} moved by")  # fmt: skip
    legend_below(plot)
    plot.add_tools(_hover(inspection, marks))
    return plot
