"""A picture of loss and accuracy of several runs by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastlstm.plotting import new_figure, to_png
from fastlstm.printable import DOTS, columns, printable
from fastlstm.train.classifier.loaded_run import RunRecord
from fastlstm.train.curves import epoch_axes

# Eight hues of different lightness; further runs have them again, dashed.
COLORS = (
    "#1f6fb2", "#d1602b", "#2a8a57", "#8a4fbf", "#c2185b", "#8d6e1f", "#00838f", "#475467",
)  # fmt: skip
STYLES = ("-", "--", ":")
TOLD = "thick: validation, thin: training, ring: epoch kept"
TOLD_OF_LINEAR = ", diamond: joined to the linear part, dotted: that alone"
LONGEST = 44  # columns of a run's name


def draw_runs(records: Sequence[RunRecord], names: Sequence[str]) -> bytes:
    """Return a PNG; needs matplotlib.

    A thick line with dots is validation, the thin one training, which is all of a run without
    validation; both are of the net. A ring marks the epoch whose weights were kept. Of a run with a
    linear part a diamond at that epoch is both joined, a dotted line the linear part alone.
    """
    figure = new_figure(10, 4.4 + 0.22 * (len(records) // 3))
    panels = figure.subplots(1, 2)
    for axes, what in zip(panels, ("loss", "accuracy"), strict=True):
        for number, record in enumerate(records):
            style = STYLES[number // len(COLORS) % len(STYLES)]
            color = COLORS[number % len(COLORS)]
            _curve(axes, record, what, names[number], color, style)
            _linear(axes, record, what, names[number], color)
        epoch_axes(axes, what)
    handles, labels = panels[0].get_legend_handles_labels()
    labels = [_end(printable(name)) for name in labels]
    told = TOLD
    if any(record.config.parts != "net" for record in records):
        told += TOLD_OF_LINEAR
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(3, len(records)), frameon=False,
        fontsize=8, title=told, title_fontsize=8,
    )  # fmt: skip
    return to_png(figure)


def _curve(axes: Any, record: RunRecord, what: str, name: str, color: str, style: str) -> None:
    epochs = record.epochs
    if record.config.parts == "linear":
        return
    numbers = [epoch.epoch for epoch in epochs]
    train = [getattr(epoch, f"train_{what}") for epoch in epochs]
    held_back = [getattr(epoch, f"validation_{what}") for epoch in epochs]
    validated = bool(epochs) and held_back[0] is not None
    axes.plot(numbers, train, style, color=color, linewidth=0.8, alpha=0.7,
              label=None if validated else name)  # fmt: skip
    if validated:
        axes.plot(numbers, held_back, style, color=color, linewidth=2, marker="o", markersize=3,
                  label=name)  # fmt: skip
    if epochs:
        best = max(range(len(epochs)), key=lambda i: epochs[i].score)
        kept = held_back[best] if validated else train[best]
        axes.plot(numbers[best], kept, "o", color=color, markersize=9, fillstyle="none")


def _linear(axes: Any, record: RunRecord, what: str, name: str, color: str) -> None:
    """Draw what a linear part, and a net joined to it, make of the validation part."""
    metrics, alone = record.metrics or {}, record.config.parts == "linear"
    if record.config.parts == "net":
        return
    both = metrics.get(f"validation_{what}")
    linear = both if alone else metrics.get(f"linear_validation_{what}")
    if alone:
        axes.plot([], [], ":", color=color, linewidth=1.5, label=name)
    elif isinstance(both, float):
        axes.plot(metrics["best_epoch"], both, "D", color=color, markersize=7, zorder=3)
    if isinstance(linear, float):
        axes.axhline(linear, linestyle=":", color=color, linewidth=1.5)


def _end(name: str) -> str:
    """Return the end of a long name: it tells one path from another."""
    if columns(name) <= LONGEST:
        return name
    while columns(name) > LONGEST - len(DOTS):
        name = name[1:]
    return DOTS + name
