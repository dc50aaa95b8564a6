"""A text as a classifier reads it, as one interactive page that needs nothing else."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.inside.collect import Inspection
from fastlstm.inside.page_units import draw_units, legend_below, new_plot
from fastlstm.inside.page_words import choose_words, name_words, short_words, words_paragraph
from fastlstm.inside.terminal import summarize
from fastlstm.plotting import HIGH, LINE, LOW, QUIET
from fastlstm.printable import cut, printable
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
    text = [_heading(inspection, title), words_paragraph(inspection)]
    figures = [
        *choose_words(inspection, words),
        _prediction(inspection, source, words),
        *draw_units(inspection, words),
        _change(inspection, source, words),
    ]
    head = [Div(text=part, disable_math=True, sizing_mode="stretch_width") for part in text]
    page = column(*head, *figures, sizing_mode="stretch_width", styles={"padding": "8px 16px"})
    _draw_literally(page)
    return page


def _draw_literally(page: Any) -> None:
    """Have no text taken for TeX, which can hold links: labels and words come from anywhere."""
    from bokeh.models import ColorBar, Legend, PlainText, Title

    for model in page.references():
        for name in {Title: ["text"], ColorBar: ["title"], Legend: ["title"]}.get(type(model), []):
            if isinstance(text := getattr(model, name), str):
                setattr(model, name, PlainText(text=text))


def _heading(inspection: Inspection, title: str) -> str:
    label, probability = inspection.prediction
    return (
        f"<h2 style='margin:0'>{escape(title)}</h2><p style='margin:4px 0;font-size:16px'>"
        f"Prediction: <b><bdi>{escape(printable(label))}</bdi></b>, probability "
        f"{probability:.3f}</p><p style='margin:4px 0;color:{QUIET}'>{inspection.extent}. Shown: "
        f"{inspection.place}. Hover a word to see its values; choose a gate and pick units "
        "below. (?) marks words that are not in the vocabulary.</p>"
    )


def _word_source(inspection: Inspection) -> Any:
    """Return a row for each word: what hovering tells, and what is drawn of it."""
    from bokeh.models import ColumnDataSource

    P, moved = inspection.probabilities, np.linalg.norm(inspection.change, axis=1)
    best = P.argmax(axis=1)
    data: dict[str, Any] = {
        "w": np.arange(len(inspection.words)),
        "word": short_words(inspection),
        "known": ["yes" if known else "no" for known in inspection.known],
        "said": [printable(inspection.labels[k]) for k in best],
        "p_said": P.max(axis=1),
        "p": P[:, inspection.shown_class],
        "moved": moved,
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


def _hover(inspection: Inspection, drawn: Any) -> Any:
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
    return HoverTool(tooltips=rows, mode="vline", renderers=[drawn])


def _prediction(inspection: Inspection, source: Any, words: Any) -> Any:
    from bokeh.models import Range1d, Span

    label = cut(printable(inspection.labels[inspection.shown_class]), 60)
    title = f"probability of {label} after each word"
    plot = new_plot(words, 210, title, y_range=Range1d(-0.03, 1.03), name="prediction")
    name_words(plot, inspection)
    plot.add_layout(Span(location=0.5, dimension="width", line_color=QUIET, line_dash="dotted"))
    plot.line("w", "p", source=source, line_color=LINE, line_width=2)
    dots = plot.scatter(
        "w", "p", source=source, size=_mark(7, inspection), color=LINE, hover_fill_color=LOW
    )
    plot.add_tools(_hover(inspection, dots))
    return plot


def _mark(size: int, inspection: Inspection) -> int:
    """Return the size of a mark; of many words it is smaller."""
    return size if len(inspection.words) <= 120 else size // 2


def _change(inspection: Inspection, source: Any, words: Any) -> Any:
    plot = new_plot(words, 270, f"what each word did to {inspection.state} (norms)")
    name_words(plot, inspection)
    if inspection.added is not None:
        plot.vbar("w", 0.8, "added", source=source, color=HIGH, legend_label="brought")
        plot.vbar("w", 0.8, "minus", source=source, color=LOW, legend_label="let go of the old")
    marks = plot.scatter(
        "w", "moved", source=source, marker="diamond", size=_mark(9, inspection), color="black",
        legend_label=f"{inspection.state} moved by",
    )  # fmt: skip
    legend_below(plot)
    plot.add_tools(_hover(inspection, marks))
    return plot
