"""The units on the page: the choice of a gate and of units, a map of all, lines of those picked."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh import models
from bokeh.layouts import row
from bokeh.palettes import RdBu, Viridis256

from fastlstm.inside.collect import Inspection
from fastlstm.inside.drawn import MEANING, SIGNED, value_range
from fastlstm.inside.page_figure import legend_below, plot_over
from fastlstm.inside.page_words import short_words

PICKED = 4  # units drawn at first: those that moved most
# The first seven are told apart with any colour vision (Okabe & Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a6d3b",
           "#7a5195", "#6b8e23")  # fmt: skip

# Run in the page when another gate or other units are chosen.
CHOOSE = """
const name = names[options.indexOf(gate.value)], all = units_source.data, W = words.length;
units_source.data = {...all, shown: all[name]};
const [low, high] = ranges[name];
mapper.low = low; mapper.high = high; mapper.palette = palettes[name];
bounds.start = low - 0.03 * (high - low); bounds.end = high + 0.03 * (high - low);
const picked = units.value.map(Number).filter((u) => u >= 0 && u < count);
const x = [...Array(W).keys()];
lines.data = {
    xs: picked.map(() => x),
    ys: picked.map((u) => x.map((w) => all[name][0][u * W + w])),
    unit: picked.map((u) => `unit ${u}`),
    color: picked.map((u, k) => colours[k % colours.length]),
};
title.text = `${gate.value}, all ${count} units`; lines_title.text = `${gate.value}, units picked`;
"""
AT_WORD = "return words[Math.round(value)] ?? '';"
AT_UNIT = "return String(Math.round(value));"


def choose_units(inspection: Inspection, words: Any) -> list[Any]:
    """Return the choice of a gate and of units, the heat map of all, and lines of those picked."""
    H = inspection.before.shape[1]
    first = "f" if "f" in inspection.values else next(iter(inspection.values))
    moved_most = np.sort(np.argsort(-inspection.change.sum(axis=0), kind="stable")[:PICKED])
    gate = models.Select(
        title="gate or state", value=MEANING[first],
        options=[MEANING[name] for name in inspection.values], name="gate",
    )  # fmt: skip
    units = models.MultiChoice(
        title="units", value=[str(u) for u in moved_most], options=[str(u) for u in range(H)],
        name="units", sizing_mode="stretch_width",
    )  # fmt: skip
    heat, of_heat = _all_units(inspection, words, first)
    drawn, of_lines = _some_units(inspection, words, first, moved_most)
    fixed = {
        "names": list(inspection.values),
        "options": gate.options,
        "words": short_words(inspection),
        "ranges": {n: value_range(n, v) for n, v in inspection.values.items()},
        "palettes": {n: _palette(n) for n in inspection.values},
        "count": H,
        "colours": list(COLOURS),
    }
    callback = models.CustomJS(
        args={"gate": gate, "units": units, **of_heat, **of_lines, **fixed}, code=CHOOSE
    )
    gate.js_on_change("value", callback)
    units.js_on_change("value", callback)
    return [row(gate, units, sizing_mode="stretch_width"), heat, drawn]


def _all_units(inspection: Inspection, words: Any, first: str) -> tuple[Any, dict[str, Any]]:
    """Return the heat map, and what the page changes of it."""
    W, H = inspection.before.shape
    images = {n: [np.ascontiguousarray(v.T, np.float32)] for n, v in inspection.values.items()}
    source = models.ColumnDataSource({**images, "shown": images[first]})
    low, high = value_range(first, inspection.values[first])
    mapper = models.LinearColorMapper(palette=_palette(first), low=low, high=high)
    heat = plot_over(
        words, 300, f"{MEANING[first]}, all {H} units", y_range=models.Range1d(-0.5, H - 0.5)
    )
    heat.image("shown", x=-0.5, y=-0.5, dw=W, dh=H, source=source, color_mapper=mapper)
    heat.add_layout(models.ColorBar(color_mapper=mapper, width=10), "right")
    heat.yaxis.axis_label = "unit"
    heat.add_tools(
        models.HoverTool(
            tooltips=[("word", "$x{custom}"), ("unit", "$y{custom}"), ("value", "@shown{0.000}")],
            formatters={
                "$x": models.CustomJSHover(args={"words": short_words(inspection)}, code=AT_WORD),
                "$y": models.CustomJSHover(code=AT_UNIT),
            },
        )
    )
    return heat, {"units_source": source, "mapper": mapper, "title": heat.title}


def _some_units(
    inspection: Inspection, words: Any, first: str, picked: Any
) -> tuple[Any, dict[str, Any]]:
    """Return the lines of the units picked, and what the page changes of them."""
    value = inspection.values[first]
    lines = models.ColumnDataSource(
        {
            "xs": [np.arange(len(value))] * len(picked),
            "ys": [value[:, u] for u in picked],
            "unit": [f"unit {u}" for u in picked],
            "color": list(COLOURS[: len(picked)]),
        },
        name="lines",
    )
    low, high = value_range(first, value)
    margin = 0.03 * (high - low)
    bounds = models.Range1d(low - margin, high + margin)
    drawn = plot_over(words, 240, f"{MEANING[first]}, units picked", y_range=bounds)
    drawn.multi_line("xs", "ys", source=lines, line_color="color", line_width=2,
                     legend_field="unit")  # fmt: skip
    legend_below(drawn)
    drawn.add_tools(models.HoverTool(tooltips=[("", "@unit"), ("value", "$y{0.000}")]))
    return drawn, {"lines": lines, "bounds": bounds, "lines_title": drawn.title}


def _palette(name: str) -> list[str]:
    return list(RdBu[11][::-1] if name in SIGNED else Viridis256)
