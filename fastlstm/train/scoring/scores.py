"""How good a classifier is: accuracy, F1, confusion matrix, calibration.

C classes, N texts. Of a class with TP texts found, FP texts wrongly said to be of it and FN texts
missed, precision is TP / (TP + FP), recall TP / (TP + FN) and F1 = 2 TP / (2 TP + FP + FN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.train.classifier.predict import Float64
from fastlstm.train.scoring.confusion import confusion_matrix

BINS = 15  # as in Guo et al. 2017


@dataclass(frozen=True)
class Bin:
    """The texts of confidence in (low, high]; means are None if there are none."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """How well confidence, the probability of the predicted class, tells the chance to be right.

    The confidences are cut into M bins of equal width. The expected calibration error (Guo et al.
    2017, equation 3) is ``sum over the bins of n/N |accuracy - confidence|``, each a mean over the
    n texts of the bin.
    """

    error: float
    bins: tuple[Bin, ...]  # the reliability table


@dataclass(frozen=True)
class Scores:
    """The result of `score`; tuples are by class number."""

    accuracy: float  # share of the texts whose most probable class is the true one
    loss: float  # mean cross-entropy
    precision: tuple[float | None, ...]  # of each class, as recall and f1; None for 0 / 0
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]
    macro_f1: float  # mean F1 of the classes in the texts or the predictions
    support: tuple[int, ...]  # texts of each class
    confusion: tuple[tuple[int, ...], ...]  # [C][C]: texts of a true class (row), as predicted
    calibration: Calibration

    def to_json(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return plain dicts and lists, with classes by name."""
        by_class = zip(self.precision, self.recall, self.f1, self.support, strict=True)
        names = ("precision", "recall", "f1", "texts")
        return {
            "texts": sum(self.support),
            "accuracy": self.accuracy,
            "loss": self.loss,
            "macro_f1": self.macro_f1,
            "classes": {
                label: dict(zip(names, values, strict=True))
                for label, values in zip(labels, by_class, strict=True)
            },
            "labels": list(labels),
            "confusion": [list(row) for row in self.confusion],
            "calibration_error": self.calibration.error,
            "calibration_bins": [vars(b) for b in self.calibration.bins],
        }


def score(log_probabilities: Float64, labels: NDArray[np.int64], bins: int = BINS) -> Scores:
    """Compare predictions with the truth.

    `log_probabilities` are float64 [N, C] of each class for N >= 1 texts, `labels` [N] class
    numbers; the calibration table has `bins` rows.
    """
    count, classes = log_probabilities.shape
    predicted = log_probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, classes)
    hits, truly, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = _ratios(2 * hits, truly + said)
    known = [value for value in f1 if value is not None]
    right = predicted == labels
    confidence = np.exp(log_probabilities.max(axis=1))
    return Scores(
        accuracy=float(right.mean()),
        loss=float(-log_probabilities[np.arange(count), labels].mean()),
        precision=_ratios(hits, said),
        recall=_ratios(hits, truly),
        f1=f1,
        macro_f1=sum(known) / len(known),
        support=tuple(truly.tolist()),
        confusion=tuple(map(tuple, confusion.tolist())),
        calibration=calibrate(confidence, right, bins),
    )


def calibrate(confidence: Float64, right: NDArray[np.bool_], bins: int = BINS) -> Calibration:
    """Return the calibration of predictions of `confidence` [N], some of which are `right` [N].

    Raises ValueError if bins is below 1.
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}, expected at least 1")
    edges = np.linspace(0.0, 1.0, bins + 1)
    # bin m holds edges[m] < confidence <= edges[m + 1]
    place = np.digitize(confidence, edges[1:-1], right=True)
    table, error = [], 0.0
    for m in range(bins):
        inside = place == m
        n = int(inside.sum())
        mean = float(confidence[inside].mean()) if n else None
        accuracy = float(right[inside].mean()) if n else None
        if mean is not None and accuracy is not None:
            error += n / len(confidence) * abs(accuracy - mean)
        table.append(Bin(float(edges[m]), float(edges[m + 1]), n, mean, accuracy))
    return Calibration(error, tuple(table))


def _ratios(above: NDArray[np.int64], below: NDArray[np.int64]) -> tuple[float | None, ...]:
    pairs = zip(above.tolist(), below.tolist(), strict=True)
    return tuple(a / b if b else None for a, b in pairs)
