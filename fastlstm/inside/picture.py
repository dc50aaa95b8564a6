"""A text as a classifier reads it, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.inside.collect import Inspection
from fastlstm.nn.module import Array
from fastlstm.plotting import HIGH, LINE, LOW, QUIET, new_figure, save_png

CLASSES = 5  # drawn of more
SIGNED = ("g", "n", "c", "h")
MEANING = {
    "i": "input gate i",
    "f": "forget gate f",
    "g": "candidate g",
    "o": "output gate o",
    "r": "reset gate r",
    "z": "update gate z",
    "n": "candidate n",
    "c": "cell c",
    "h": "output h",
}


def draw_text(path: str | Path, inspection: Inspection, title: str = "") -> None:
    """Write a PNG: the running prediction, each gate's units over the words, what words changed.

    Parameters
    ----------
    path : of the file.
    inspection : from `inspect_text`; more than about 60 words make it wide.
    title : above it; by default it says what was looked at.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    W = len(inspection.words)
    maps = {**inspection.gates, inspection.state: inspection.values[inspection.state]}
    heights = [1.5, *[1.1] * len(maps), 1.5]
    figure = new_figure(float(np.clip(2.8 + 0.23 * W, 7.5, 60)), sum(heights) + 2.2, dpi=120)
    panels = figure.subplots(
        len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}, squeeze=False
    )[:, 0]
    _draw_prediction(panels[0], inspection)
    last = inspection.values[inspection.state][0 if inspection.direction else -1]
    order = np.argsort(last, kind="stable")
    for panel, (name, value) in zip(panels[1:-1], maps.items(), strict=True):
        _draw_units(figure, panel, name, value[:, order])
    panels[len(maps) // 2 + 1].set_ylabel(
        f"units, in order of {inspection.state} after the word read last", fontsize=8, color=QUIET
    )
    _draw_change(panels[-1], inspection)
    _write_words(panels, inspection)
    figure.suptitle(title or _title(inspection), fontsize=10, color=QUIET)
    save_png(path, figure)


def _title(inspection: Inspection) -> str:
    p = inspection.probabilities[-1]
    best, W = int(p.argmax()), len(inspection.words)
    cut = f"the first {W} of {inspection.total} words" if W < inspection.total else f"{W} words"
    way = "reading backward" if inspection.direction else "reading forward"
    where = f"{inspection.cell.upper()} layer {inspection.layer}, {way}"
    return f"{inspection.labels[best]}, {p[best]:.0%}, after {cut}\n{where}"


def _draw_prediction(panel: Any, inspection: Inspection) -> None:
    P, W = inspection.probabilities, len(inspection.words)
    panel.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=":")
    if len(inspection.labels) == 2:
        p, name = P[:, 1], inspection.labels[1]
        panel.plot(range(W), p, color=LINE, linewidth=1.5, label=f"probability of {name}")
        panel.fill_between(range(W), 0.5, p, where=p >= 0.5, color=HIGH, alpha=0.25, linewidth=0,
                           interpolate=True)  # fmt: skip
        panel.fill_between(range(W), 0.5, p, where=p <= 0.5, color=LOW, alpha=0.25, linewidth=0,
                           interpolate=True)  # fmt: skip
    else:
        for k in np.argsort(-P.max(axis=0), kind="stable")[:CLASSES]:
            panel.plot(range(W), P[:, k], linewidth=1.5, label=inspection.labels[k])
    panel.plot(range(W), P[:, inspection.shown_class], "o", color=LINE, markersize=3)
    panel.set_ylim(-0.02, 1.02)
    panel.set_ylabel("prediction\nafter the word", fontsize=8)
    _legend(panel)


def _draw_units(figure: Any, panel: Any, name: str, value: Array) -> None:
    low, high = value_range(name, value)
    image = panel.imshow(
        value.T,
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu" if name in SIGNED else "viridis",
        vmin=low,
        vmax=high,
    )
    panel.set_yticks([])
    panel.set_title(MEANING[name], loc="left", fontsize=9, pad=2)
    bar = figure.colorbar(image, ax=panel, pad=0.01, fraction=0.04, aspect=9)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)


def value_range(name: str, value: Array) -> tuple[float, float]:
    """Return what the ends of the colours stand for."""
    if name not in SIGNED:
        return 0.0, 1.0
    # A few units far out would leave no colour for all others.
    most = max(1.0, float(np.quantile(np.abs(value), 0.99)))
    return -most, most


def marked_words(inspection: Inspection) -> list[str]:
    """Return the words, those that training did not have with a mark."""
    pairs = zip(inspection.words, inspection.known, strict=True)
    return [word if known else f"{word} (?)" for word, known in pairs]


def _draw_change(panel: Any, inspection: Inspection) -> None:
    words, state = np.arange(len(inspection.words)), inspection.state
    moved = np.linalg.norm(inspection.change, axis=1)
    if inspection.added is not None and inspection.kept is not None:
        added = np.linalg.norm(inspection.added, axis=1)
        lost = np.linalg.norm(inspection.before - inspection.kept, axis=1)
        panel.bar(words, added, color=HIGH, alpha=0.75, width=0.8, label="brought by the word")
        panel.bar(words, -lost, color=LOW, alpha=0.75, width=0.8, label="let go of the old")
        panel.axhline(0, color=QUIET, linewidth=0.8)
        panel.plot(words, moved, "D", color="black", markersize=3, label=f"{state} moved by")
    else:
        panel.bar(words, moved, color=LINE, width=0.8, label=f"{state} moved by")
    panel.margins(y=0.12)
    panel.set_ylabel(f"change of {state}\n(norm)", fontsize=8)
    _legend(panel)


def _legend(panel: Any) -> None:
    """Put the legend above the panel, where it hides nothing."""
    panel.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=6, frameon=False, fontsize=8, borderpad=0.1
    )
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#e4e7ec", linewidth=0.8)
    panel.set_axisbelow(True)


def _write_words(panels: Any, inspection: Inspection) -> None:
    """Write the words below the prediction and below the last panel."""
    names = marked_words(inspection)
    for panel in panels:
        panel.tick_params(axis="x", length=0, labelbottom=False)
    for panel in (panels[0], panels[-1]):
        panel.set_xticks(range(len(names)), names, rotation=90, fontsize=9)
        panel.tick_params(axis="x", labelbottom=True, length=0)
        for label, known in zip(panel.get_xticklabels(), inspection.known, strict=True):
            label.set_color("black" if known else LOW)
    panels[-1].set_xlim(-0.5, len(names) - 0.5)
    if not inspection.known.all():
        panels[-1].set_xlabel("(?): not a word of the vocabulary", fontsize=8, color=LOW)
