"""The confusion matrix: counts, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.plotting import QUIET, fitted, new_figure, save_png
from fastlstm.printable import cut, printable

LONGEST = 24  # columns of a name


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return how often each class was predicted as each class: int64 [C, C], true classes by row.

    `labels` and `predicted` are class numbers, int [N]; `classes` is C.
    """
    pairs = np.asarray(labels, np.int64) * classes + np.asarray(predicted, np.int64)
    counts: NDArray[np.int64] = np.bincount(pairs, minlength=classes**2).astype(np.int64)
    return counts.reshape(classes, classes)


def recalls(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each class that was found, [C]; NaN for a class without rows."""
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = np.diagonal(counts) / counts.sum(axis=1)
    return found


def draw_confusion(path: Path, counts: NDArray[np.int64], names: Sequence[str], title: str) -> None:
    """Write a PNG: true classes down, predicted ones across, shares of each true class.

    Raises ImportError if matplotlib is not installed, OSError if the file cannot be written.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [cut(printable(name), LONGEST) for name in names]
    size = 2.6 + 0.34 * len(names)
    figure = new_figure(size + 0.8, size)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    numbers = range(len(names))
    axes.set_xticks(numbers, names, rotation=90, fontsize=8)
    totals = counts.sum(axis=1)
    labels = [f"{n} ({t:,})" for n, t in zip(names, totals, strict=True)]
    axes.set_yticks(numbers, labels, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (how many)")
    for row, column in np.argwhere(shares >= 0.05):
        share = shares[row, column]
        style = {"color": "white" if share > 0.6 else "black", "fontsize": 7}
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", **style)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="of the true class")
    bar.ax.yaxis.set_major_formatter(lambda value, position: f"{100 * value:.0f} %")
    figure.suptitle(fitted(title, size + 0.6, 10), fontsize=10, color=QUIET)
    save_png(path, figure)
