"""A text as a classifier reads it, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.inside.collect import Inspection
from fastlstm.inside.drawn import MEANING, SIGNED, stacked, value_range
from fastlstm.inside.lines import (
    LEFT,
    LEVEL,
    LINE_WORDS,
    MARK,
    WIDEST,
    WORD_SIZE,
    Lines,
    lines_of,
    short,
)
from fastlstm.nn.module import Array
from fastlstm.plotting import (
    HIGH,
    LINE,
    LINEAR,
    LOW,
    NET,
    QUIET,
    fitted,
    new_figure,
    plain_axes,
    save_png,
)

CLASSES = 5  # the most that are drawn
TOP = 0.7  # inches above all
CURVE, MAP = 1.5, 1.1  # heights of panels
GAP = 0.25  # above a panel
MOST_BARS = 240  # of more words the outline is drawn


def draw_text(path: str | Path, inspection: Inspection, title: str = "") -> None:
    """Write a PNG: the running prediction, each gate's units over the words, what words changed.

    Of a net with a linear part the prediction is that of both, and below it is what each adds to it
    with each word.

    Parameters
    ----------
    path : of the file.
    inspection : from `inspect_text`; more than 60 words make up to four rows, and where there is
        no room for all words, those that changed the state most are named.
    title : above it; by default it says what was looked at.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    lines = lines_of(inspection)
    maps = _maps_of(inspection)
    one = 2 * (CURVE + lines.below) + len(maps) * (MAP + GAP) + 3 * GAP
    one += 0 if inspection.shares is None else CURVE + 1.5 * GAP
    figure = new_figure(lines.width, TOP + lines.total * one + GAP, dpi=120, layout=None)
    end = TOP
    for number in range(lines.total):
        end = _draw_line(figure, inspection, lines, number, TOP + number * one)
    figure.text(
        (LEFT + lines.across / 2) / lines.width,
        1 - (end + lines.below + 0.1) / figure.get_figheight(),
        _notes(inspection, len(lines.named) < len(inspection.words)),
        ha="center", va="top", fontsize=8, color=QUIET,
    )  # fmt: skip
    title = fitted(title or _title(inspection), lines.width - 0.5, 10)
    figure.text(0.5, 1 - 0.12 / figure.get_figheight(), title, ha="center", va="top", fontsize=10,
                color=QUIET)  # fmt: skip
    save_png(path, figure)


def _maps_of(inspection: Inspection) -> dict[str, Array]:
    """Return the values of the units over the words, of each gate and of the state."""
    return {**inspection.gates, inspection.state: inspection.values[inspection.state]}


def _draw_line(figure: Any, inspection: Inspection, lines: Lines, number: int, top: float) -> float:
    """Draw the panels of a line of words from `top` on; return where the last one ends."""
    words, at = lines.words(number), top + GAP + CURVE  # inches below the top of the picture
    panels = [_place(figure, LEFT, at, lines.across, CURVE)]
    _draw_prediction(panels[0], inspection, lines.span)
    at += lines.below
    if inspection.shares is not None:
        at += 1.5 * GAP + CURVE
        panels.append(_place(figure, LEFT, at, lines.across, CURVE))
        _draw_shares(panels[-1], inspection, words)
    maps, at = _draw_maps(figure, inspection, lines, words, at)
    panels += maps
    at += 1.5 * GAP + CURVE
    panels.append(_place(figure, LEFT, at, lines.across, CURVE))
    _draw_change(panels[-1], inspection, words)
    for panel in panels:
        panel.set_xlim(words.start - 0.5, words.stop - 0.5)
    shown = {w: lines.names[w] for w in lines.named if words.start <= w < words.stop}
    _write_words(panels, inspection, shown, lines.below == LEVEL)
    return at


def _draw_maps(
    figure: Any, inspection: Inspection, lines: Lines, words: slice, at: float
) -> tuple[list[Any], float]:
    """Draw a map of the units for each gate and the state; return them, and where they end."""
    last = inspection.values[inspection.state][0 if inspection.direction else -1]
    order, panels = np.argsort(last, kind="stable"), []
    for name, value in _maps_of(inspection).items():
        at += GAP + MAP
        panels.append(_place(figure, LEFT, at, lines.across, MAP))
        _draw_units(panels[-1], name, value, order, words)
        scale = _place(figure, LEFT + lines.across + 0.12, at, 0.12, MAP, "<colorbar>")
        figure.colorbar(panels[-1].images[0], cax=scale).outline.set_visible(False)
        scale.tick_params(labelsize=7)
    panels[len(panels) // 2].set_ylabel(
        f"units, in order of {inspection.state} after the word read last", fontsize=8, color=QUIET
    )
    return panels, at


def _place(
    figure: Any, left: float, bottom: float, width: float, height: float, label: str = ""
) -> Any:
    """Return a new panel, placed in inches: laying panels out by what is in them takes long."""
    w, h = figure.get_size_inches()
    return figure.add_axes((left / w, 1 - bottom / h, width / w, height / h), label=label)


def _title(inspection: Inspection) -> str:
    label, probability = inspection.prediction
    by = f" ({inspection.parts})" if inspection.parts else ""
    return f"{label}, {probability:.1%}{by}\n{inspection.extent}; {inspection.place}"


def _draw_prediction(panel: Any, inspection: Inspection, span: int) -> None:
    P, W = inspection.said, len(inspection.words)
    panel.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=":")
    if len(inspection.labels) == 2:
        p, name = P[:, 1], short(inspection.labels[1])
        panel.plot(range(W), p, color=LINE, linewidth=1.5, label=f"probability of {name}")
        for side, tint in ((p >= 0.5, HIGH), (p <= 0.5, LOW)):
            panel.fill_between(range(W), 0.5, p, where=side, color=tint, alpha=0.25, linewidth=0,
                               interpolate=True)  # fmt: skip
    else:
        for k in np.argsort(-P.max(axis=0), kind="stable")[:CLASSES]:
            panel.plot(range(W), P[:, k], linewidth=1.5, label=short(inspection.labels[k]))
    dots = 3 if span <= 2 * LINE_WORDS else 0
    panel.plot(range(W), inspection.followed, "o", color=LINE, markersize=dots)
    if inspection.shares is not None:
        net = inspection.followed_by_net
        panel.plot(range(W), net, color=NET, linewidth=1, label="by the net alone")
    panel.set_ylim(-0.02, 1.02)
    panel.set_ylabel("prediction\nafter the word", fontsize=8)
    _legend(panel)


def _draw_shares(panel: Any, inspection: Inspection, part: slice) -> None:
    """Draw what either part adds with each word: bars upon each other, if both say the same."""
    assert inspection.shares is not None
    words, k = np.arange(len(inspection.words))[part], inspection.shown_class
    net, linear = (share[part, k] for share in (inspection.shares.net, inspection.shares.linear))
    bars = stacked(net, linear)
    _bars(panel, words, net, color=NET, label="net")
    _bars(panel, words, linear, bottom=bars, color=LINEAR, label="linear part")
    panel.axhline(0, color=QUIET, linewidth=0.8)
    dots = 3 if len(words) <= MOST_BARS else 1
    panel.plot(words, net + linear, "D", color="black", markersize=dots, label="both")
    panel.margins(y=0.12)
    panel.set_ylabel(f"adds to the logit\nof {short(inspection.labels[k])}", fontsize=8)
    _legend(panel)


def _draw_units(panel: Any, name: str, value: Array, order: NDArray[np.intp], words: slice) -> None:
    low, high = value_range(name, value)
    part = value[words, order]
    panel.imshow(
        part.T,
        aspect="auto",
        interpolation="nearest" if len(part) <= WIDEST * 100 else "auto",
        cmap="RdBu" if name in SIGNED else "viridis",
        vmin=low,
        vmax=high,
        extent=(words.start - 0.5, words.start + len(part) - 0.5, len(order) - 0.5, -0.5),
    )
    panel.set_yticks([])
    panel.set_title(MEANING[name], loc="left", fontsize=9, pad=2)


def _draw_change(panel: Any, inspection: Inspection, part: slice) -> None:
    words, state = np.arange(len(inspection.words))[part], inspection.state
    norms = {name: norm[part] for name, norm in inspection.norms.items()}
    moved = norms["moved"]
    if "added" in norms:
        _bars(panel, words, norms["added"], color=HIGH, label="brought by the word")
        _bars(panel, words, -norms["lost"], color=LOW, label="let go of the old")
        panel.axhline(0, color=QUIET, linewidth=0.8)
        dots = 3 if len(words) <= MOST_BARS else 1
        panel.plot(words, moved, "D", color="black", markersize=dots, label=f"{state} moved by")
    else:
        _bars(panel, words, moved, color=LINE, label=f"{state} moved by")
    panel.margins(y=0.12)
    panel.set_ylabel(f"change of {state}\n(norm)", fontsize=8)
    _legend(panel)


def _bars(panel: Any, words: Array, heights: Array, bottom: Any = 0, **options: Any) -> None:
    """Draw a bar for each word; of very many, their outline, which is drawn sooner."""
    if len(words) <= MOST_BARS:
        panel.bar(words, heights, bottom=bottom, alpha=0.75, width=0.8, **options)
    else:
        panel.fill_between(words, bottom, bottom + heights, step="mid", alpha=0.75, linewidth=0,
                           **options)  # fmt: skip


def _legend(panel: Any) -> None:
    """Put the legend above the panel, where it hides nothing."""
    panel.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=6, frameon=False, fontsize=8, borderpad=0.1
    )
    panel.tick_params(labelsize=7)
    plain_axes(panel)


def _write_words(panels: Any, inspection: Inspection, shown: dict[int, str], level: bool) -> None:
    """Write the words shown below the prediction and below the last panel."""
    for panel in panels:
        panel.tick_params(axis="x", length=0, labelbottom=False)
    for panel in (panels[0], panels[-1]):
        panel.set_xticks(
            list(shown), list(shown.values()), rotation=0 if level else 90, fontsize=WORD_SIZE
        )
        panel.tick_params(axis="x", labelbottom=True, length=0)
        for label, w in zip(panel.get_xticklabels(), shown, strict=True):
            label.set_color("black" if inspection.known[w] else LOW)


def _notes(inspection: Inspection, some: bool) -> str:
    notes = [f"{MARK.strip()}: not a word of the vocabulary"] if not inspection.known.all() else []
    if some:
        notes.append(f"of the words, those that moved {inspection.state} most are named")
    return "; ".join(notes)
