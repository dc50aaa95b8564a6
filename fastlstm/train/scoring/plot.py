"""Scores as a picture: the confusion matrix and the calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.plotting import LETTER, QUIET, TRAIN, VALIDATION, new_figure, to_png
from fastlstm.printable import columns, cut, printable
from fastlstm.train.scoring.scores import Calibration, Scores

NUMBERED = 25  # with more classes there is no room for numbers
LONGEST = 18  # columns of a class name


def draw_scores(scores: Scores, labels: Sequence[str]) -> bytes:
    """Return a PNG; needs matplotlib. `labels` are the names of the C classes."""
    side = min(max(4.2, 0.34 * len(labels)), 24.0)
    figure = new_figure(side + 6.0, side + 1.2, layout="compressed")
    left, right = figure.subplots(1, 2, width_ratios=[side, 4.4])
    _confusion(left, scores, [cut(printable(label), LONGEST) for label in labels])
    _reliability(right, scores.calibration)
    figure.suptitle(
        f"accuracy {scores.accuracy:.2%}, macro F1 {scores.macro_f1:.4f}, "
        f"{count_of(sum(scores.support), 'text')}",
        fontsize=10, color=QUIET,
    )  # fmt: skip
    return to_png(figure, bbox_inches="tight")


def _confusion(axes: Any, scores: Scores, labels: list[str]) -> None:
    """Draw the matrix; the shade is the share of the row, to show small classes, too."""
    counts = np.array(scores.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(labels))
    room = axes.figure.get_figwidth() / 2.5 / len(labels)
    wide = max(map(columns, labels)) * LETTER * 8 / 72 > room
    axes.set_xticks(places, labels, rotation=90 if wide else 0, fontsize=8)
    axes.set_yticks(places, labels, fontsize=8)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title("texts; shade: share of the true class", loc="left", fontsize=11)
    size = 8 if len(labels) <= 10 else 6.5
    for i, j in np.argwhere(counts) if len(labels) <= NUMBERED else ():
        color = "white" if shares[i, j] > 0.55 else "#1d2939"
        axes.text(j, i, counts[i, j], ha="center", va="center", color=color, fontsize=size)


def _reliability(axes: Any, calibration: Calibration) -> None:
    """Draw accuracy by confidence; on the diagonal the two are equal."""
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
    width = 1 / len(calibration.bins)
    most = max(b.count for b in calibration.bins)
    for b in calibration.bins:
        if b.accuracy is None or b.confidence is None:
            continue
        axes.bar(b.low, b.accuracy, width, align="edge", color=TRAIN, edgecolor="white",
                 alpha=0.3 + 0.7 * b.count / most)  # fmt: skip
        axes.plot([b.confidence] * 2, [b.accuracy, b.confidence], color=VALIDATION, linewidth=1.5)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("confidence (the darker the bar, the more texts)")
    axes.set_ylabel("accuracy")
    axes.set_title(f"expected calibration error {calibration.error:.4f}", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    _explain(axes)


def _explain(axes: Any) -> None:
    """Draw the legend below the panel."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [
        Patch(color=TRAIN, alpha=0.75, label="accuracy of the texts of a bin"),
        Line2D([], [], color=VALIDATION, label="from there to their mean confidence"),
        Line2D([], [], color=QUIET, linewidth=0.8, linestyle=":", label="where the two are equal"),
    ]
    axes.legend(
        handles=marks, loc="upper left", bbox_to_anchor=(0, -0.13), fontsize=8, frameon=False,
        borderaxespad=0,
    )  # fmt: skip
