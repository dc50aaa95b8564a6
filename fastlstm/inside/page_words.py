"""The words of the page: as a text coloured by what the model thinks, and along the plots."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from fastlstm.inside.collect import Inspection
from fastlstm.inside.terminal import summarize
from fastlstm.printable import columns, cut, printable

# Colours of the probabilities 0, 0.5 and 1: told apart with any colour vision, and light, so that
# black letters on them have a contrast of 8 and more.
SCALE = ((253, 184, 99), (247, 247, 247), (116, 173, 220))
LONGEST, TICK = 60, 16  # columns of a word in the text, and below a plot
LEVEL = 12  # more words have no room side by side below a plot, and are slanted
EACH = 30  # more are named now and then, and can be chosen from
ZOOM = "range.start = slider.value[0] - 1.6; range.end = slider.value[1] - 0.4;"
NAME = "return words[tick] ?? '';"


def short_words(inspection: Inspection, longest: int = LONGEST) -> list[str]:
    """Return the words of at most so many columns, none of which steers anything."""
    return [cut(printable(word), longest) for word in inspection.words]


def words_paragraph(inspection: Inspection) -> str:
    """Return the words as HTML, each on the colour of what the model thinks after it."""
    shown = inspection.shown_class
    p = inspection.probabilities[:, shown]
    marks = ["" if known else "<small> (?)</small>" for known in inspection.known]
    words = [
        f"<bdi title='{escape(told, quote=True)}' style='background:{colour(probability)};"
        f"border-radius:3px;padding:2px 4px'>{escape(word)}{mark}</bdi>"
        for word, mark, probability, told in zip(
            short_words(inspection), marks, p, _values(inspection), strict=True
        )
    ]
    ends = ", ".join(colour(at) for at in (0, 0.5, 1))
    label = escape(cut(printable(inspection.labels[shown]), LONGEST))
    return (
        "<p style='margin:4px 0'>The words on the probability of "
        f"<bdi>{label}</bdi> after them: 0 <span style='display:inline-block;width:120px;"
        f"height:12px;background:linear-gradient(to right, {ends})'></span> 1</p>"
        "<p dir='auto' style='margin:4px 0;font-size:16px;line-height:1.8;color:#000;"
        f"overflow-wrap:anywhere;max-height:60vh;overflow-y:auto'>{' '.join(words)}</p>"
    )


def colour(probability: float) -> str:
    """Return the colour of a probability in CSS."""
    channels = (np.interp(probability, (0, 0.5, 1), ends) for ends in zip(*SCALE, strict=True))
    return f"rgb({', '.join(f'{channel:.0f}' for channel in channels)})"


def _values(inspection: Inspection) -> list[str]:
    """Return what is told of each word when the pointer rests on it: a line for each value."""
    P, means = inspection.probabilities, summarize(inspection)
    moved = np.linalg.norm(inspection.change, axis=1)
    told = []
    for w, known in enumerate(inspection.known):
        best = int(P[w].argmax())
        label = cut(printable(inspection.labels[best]), LONGEST)
        lines = [f"word {w + 1}, {'' if known else 'not '}in the vocabulary"]
        lines.append(f"said after it: {label} ({P[w, best]:.3f})")
        lines += [f"mean {name}: {value[w]:.3f}" for name, value in means.items()]
        told.append("\n".join([*lines, f"{inspection.state} moved by: {moved[w]:.2f}"]))
    return told


def choose_words(inspection: Inspection, words: Any) -> list[Any]:
    """Return what chooses the words that the plots show; nothing where all have room."""
    from bokeh.models import CustomJS, RangeSlider

    W = len(inspection.words)
    if W <= EACH:
        return []
    slider = RangeSlider(
        title="words shown in the plots", start=1, end=W, value=(1, W), step=1, name="range",
        sizing_mode="stretch_width",
    )  # fmt: skip
    slider.js_on_change("value", CustomJS(args={"slider": slider, "range": words}, code=ZOOM))
    return [slider]


def name_words(plot: Any, inspection: Inspection) -> None:
    """Write the words below a plot: all of a few, of more as many as have room."""
    from bokeh.models import AdaptiveTicker, CustomJSTickFormatter, FixedTicker

    names, W = short_words(inspection, TICK), len(inspection.words)
    axis = plot.xaxis[0]
    axis.visible = True
    axis.ticker = (
        FixedTicker(ticks=list(range(W)))
        if W <= EACH
        else AdaptiveTicker(min_interval=1, desired_num_ticks=EACH, num_minor_ticks=0)
    )
    axis.formatter = CustomJSTickFormatter(args={"words": names}, code=NAME)
    few = W <= LEVEL and max(map(columns, names)) * W <= 120
    axis.major_label_orientation = "horizontal" if few else np.pi / 4
    axis.major_label_text_font_size = "12px"
    axis.minor_tick_line_color = None
