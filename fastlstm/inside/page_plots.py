"""The page itself: the text, and what is plotted of each word."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from bokeh import models
from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.resources import INLINE

from fastlstm.inside.collect import Inspection
from fastlstm.inside.drawn import stacked
from fastlstm.inside.page_figure import legend_below, plot_over
from fastlstm.inside.page_units import choose_units
from fastlstm.inside.page_words import short_words, words_paragraph
from fastlstm.inside.terminal import summarize
from fastlstm.plotting import HIGH, LINE, LINEAR, LOW, NET, QUIET
from fastlstm.printable import columns, cut, printable

TICK = 16  # columns of a word below a plot
LEVEL = 12  # the most words whose names are level below a plot; those of more are slanted
EACH = 30  # the most words that are all named; of more some are, and a slider chooses words
ZOOM = "range.start = slider.value[0] - 1.6; range.end = slider.value[1] - 0.4;"
NAME = "return words[tick] ?? '';"


def page_of(inspection: Inspection, title: str) -> str:
    """Return the page as HTML."""
    words = models.Range1d(-0.6, len(inspection.words) - 0.4, bounds="auto")
    source = _word_source(inspection)
    text = [_heading(inspection, title), words_paragraph(inspection)]
    figures = [
        *_choose_words(inspection, words),
        _prediction(inspection, source, words),
        *([] if inspection.shares is None else [_shares(inspection, source, words)]),
        *choose_units(inspection, words),
        _change(inspection, source, words),
    ]
    head = [models.Div(text=part, disable_math=True, sizing_mode="stretch_width") for part in text]
    page = column(*head, *figures, sizing_mode="stretch_width", styles={"padding": "8px 16px"})
    _draw_literally(page)
    return str(file_html(page, resources=INLINE, title=title))


def _draw_literally(page: Any) -> None:
    """Have no text taken for TeX, which can hold links: labels and words come from anywhere."""
    for model in page.references():
        for name in {
            models.Title: ["text"],
            models.ColorBar: ["title"],
            models.Legend: ["title"],
        }.get(type(model), []):
            if isinstance(text := getattr(model, name), str):
                setattr(model, name, models.PlainText(text=text))


def _heading(inspection: Inspection, title: str) -> str:
    label, probability = inspection.prediction
    by = f" ({inspection.parts})" if inspection.parts else ""
    return (
        f"<h2 style='margin:0'>{escape(title)}</h2><p style='margin:4px 0;font-size:16px'>"
        f"Prediction: <b><bdi>{escape(printable(label))}</bdi></b>, probability "
        f"{probability:.3f}{by}</p><p style='margin:4px 0;color:{QUIET}'>{inspection.extent}. "
        f"Shown: {inspection.place}. Hover a word to see its values; choose a gate and pick units "
        "below. (?) marks words that are not in the vocabulary.</p>"
    )


def _choose_words(inspection: Inspection, words: Any) -> list[Any]:
    """Return what chooses the words that the plots show; nothing where all have room."""
    W = len(inspection.words)
    if W <= EACH:
        return []
    slider = models.RangeSlider(
        title="words shown in the plots", start=1, end=W, value=(1, W), step=1, name="range",
        sizing_mode="stretch_width",
    )  # fmt: skip
    slider.js_on_change(
        "value", models.CustomJS(args={"slider": slider, "range": words}, code=ZOOM)
    )
    return [slider]


def _name_words(plot: Any, inspection: Inspection) -> None:
    """Write the words below a plot: all of a few, of more as many as have room."""
    names, W = short_words(inspection, TICK), len(inspection.words)
    axis = plot.xaxis[0]
    axis.visible = True
    axis.ticker = (
        models.FixedTicker(ticks=list(range(W)))
        if W <= EACH
        else models.AdaptiveTicker(min_interval=1, desired_num_ticks=EACH, num_minor_ticks=0)
    )
    axis.formatter = models.CustomJSTickFormatter(args={"words": names}, code=NAME)
    few = W <= LEVEL and max(map(columns, names)) * W <= 120
    axis.major_label_orientation = "horizontal" if few else np.pi / 4
    axis.major_label_text_font_size = "12px"
    axis.minor_tick_line_color = None


def _word_source(inspection: Inspection) -> Any:
    """Return a row for each word: what hovering tells, and what is drawn of it."""
    P = inspection.said
    data: dict[str, Any] = {
        "w": np.arange(len(inspection.words)),
        "word": short_words(inspection),
        "known": ["yes" if known else "no" for known in inspection.known],
        "said": [printable(inspection.labels[k]) for k in P.argmax(axis=1)],
        "p_said": P.max(axis=1),
        "p": inspection.followed,
        **{f"mean_{name.strip('|')}": value for name, value in summarize(inspection).items()},
        **inspection.norms,
    }
    if "lost" in data:
        data["minus"] = -data["lost"]
    if inspection.shares is not None:
        k = inspection.shown_class
        net, linear = (share[:, k] for share in (inspection.shares.net, inspection.shares.linear))
        begin = stacked(net, linear)
        data |= {"p_net": inspection.followed_by_net, "net": net, "linear": linear}
        data |= {"both": net + linear, "linear_begin": begin, "linear_end": begin + linear}
    return models.ColumnDataSource(data)


def _hover(inspection: Inspection, drawn: Any) -> Any:
    """Return what shows a word's values when the pointer is above or below its mark."""
    rows = [
        ("word", "@word"),
        ("in the vocabulary", "@known"),
        ("said after it", "@said (@p_said{0.000})"),
        *((f"mean {n}", f"@mean_{n.strip('|')}{{0.000}}") for n in summarize(inspection)),
        (f"{inspection.state} moved by", "@moved{0.00}"),
    ]
    if inspection.added is not None:
        rows += [("brought", "@added{0.00}"), ("let go", "@lost{0.00}")]
    if inspection.shares is not None:
        rows[3:3] = [
            ("by the net alone", "@p_net{0.000}"),
            ("net adds", "@net{+0.00}"),
            ("linear part adds", "@linear{+0.00}"),
        ]
    return models.HoverTool(tooltips=rows, mode="vline", renderers=[drawn])


def _prediction(inspection: Inspection, source: Any, words: Any) -> Any:
    label = cut(printable(inspection.labels[inspection.shown_class]), 60)
    title = f"probability of {label} after each word"
    height = 210 if inspection.shares is None else 235
    plot = plot_over(words, height, title, y_range=models.Range1d(-0.03, 1.03), name="prediction")
    _name_words(plot, inspection)
    plot.add_layout(
        models.Span(location=0.5, dimension="width", line_color=QUIET, line_dash="dotted")
    )
    both = {} if inspection.shares is None else {"legend_label": "by both"}
    plot.line("w", "p", source=source, line_color=LINE, line_width=2, **both)
    if both:
        alone = {"line_color": NET, "legend_label": "by the net alone"}
        plot.line("w", "p_net", source=source, **alone)
        legend_below(plot)
    dots = plot.scatter(
        "w", "p", source=source, size=_mark(7, inspection), color=LINE, hover_fill_color=LOW
    )
    plot.add_tools(_hover(inspection, dots))
    return plot


def _shares(inspection: Inspection, source: Any, words: Any) -> Any:
    """Return what either part adds with each word, upon each other if both say the same."""
    label = cut(printable(inspection.labels[inspection.shown_class]), 60)
    plot = plot_over(words, 240, f"what each word adds to the logit of {label}", name="shares")
    _name_words(plot, inspection)
    bars: dict[str, Any] = {"width": 0.8, "source": source}
    plot.vbar("w", top="net", color=NET, legend_label="net", **bars)
    plot.vbar("w", top="linear_end", bottom="linear_begin", color=LINEAR,
              legend_label="linear part", **bars)  # fmt: skip
    marks = plot.scatter(
        "w", "both", source=source, marker="diamond", size=_mark(9, inspection), color="black",
        legend_label="both",
    )  # fmt: skip
    legend_below(plot)
    plot.add_tools(_hover(inspection, marks))
    return plot


def _mark(size: int, inspection: Inspection) -> int:
    """Return the size of a mark; of many words it is smaller."""
    return size if len(inspection.words) <= 120 else size // 2


def _change(inspection: Inspection, source: Any, words: Any) -> Any:
    plot = plot_over(words, 270, f"what each word did to {inspection.state} (norms)")
    _name_words(plot, inspection)
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
