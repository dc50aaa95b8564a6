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
from fastlstm.train.scoring.exact import ExactSum

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


class Tally:
    """What `Scores` are made of, of texts that come in pieces: however they are cut, to the bit.

    Parameters
    ----------
    classes : how many there are.
    bins : rows of the calibration table, at least 1.
    """

    def __init__(self, classes: int, bins: int = BINS) -> None:
        self._confusion = np.zeros((classes, classes), np.int64)
        self._loss, self._reliability = ExactSum(), _Reliability(bins)

    def add(self, log_probabilities: Float64, labels: NDArray[np.int64]) -> None:
        """Count more texts: log-probabilities [N, C] and the class numbers [N]."""
        predicted = log_probabilities.argmax(axis=1)
        self._confusion += confusion_matrix(labels, predicted, len(self._confusion))
        self._loss.add(-log_probabilities[np.arange(len(labels)), labels])
        self._reliability.add(np.exp(log_probabilities.max(axis=1)), predicted == labels)

    def scores(self) -> Scores:
        """Return the scores of all texts so far, at least one."""
        confusion = self._confusion
        count = int(confusion.sum())
        hits, truly, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
        f1 = _ratios(2 * hits, truly + said)
        known = [value for value in f1 if value is not None]
        return Scores(
            accuracy=int(hits.sum()) / count,
            loss=float(self._loss) / count,
            precision=_ratios(hits, said),
            recall=_ratios(hits, truly),
            f1=f1,
            macro_f1=sum(known) / len(known),
            support=tuple(truly.tolist()),
            confusion=tuple(map(tuple, confusion.tolist())),
            calibration=self._reliability.calibration(),
        )


class _Reliability:
    """Counts how often predictions of each confidence are right."""

    def __init__(self, bins: int) -> None:
        if bins < 1:
            raise ValueError(f"bins is {bins}, expected at least 1")
        self._edges = np.linspace(0.0, 1.0, bins + 1)
        self._count, self._right = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
        self._confidence = [ExactSum() for _ in range(bins)]

    def add(self, confidence: Float64, right: NDArray[np.bool_]) -> None:
        # bin m holds edges[m] < confidence <= edges[m + 1]
        place = np.digitize(confidence, self._edges[1:-1], right=True)
        self._count += np.bincount(place, minlength=len(self._count))
        self._right += np.bincount(place[right], minlength=len(self._count))
        for m in np.unique(place).tolist():
            self._confidence[m].add(confidence[place == m])

    def calibration(self) -> Calibration:
        table, error, total = [], 0.0, int(self._count.sum())
        counts = zip(self._count.tolist(), self._right.tolist(), strict=True)
        for m, (n, right) in enumerate(counts):
            mean, accuracy = None, None
            if n:
                mean, accuracy = float(self._confidence[m]) / n, right / n
                error += n / total * abs(accuracy - mean)
            edges = float(self._edges[m]), float(self._edges[m + 1])
            table.append(Bin(*edges, n, mean, accuracy))
        return Calibration(error, tuple(table))


def score(log_probabilities: Float64, labels: NDArray[np.int64], bins: int = BINS) -> Scores:
    """Compare predictions with the truth.

    `log_probabilities` are float64 [N, C] of each class for N >= 1 texts, `labels` [N] class
    numbers; the calibration table has `bins` rows.
    """
    tally = Tally(log_probabilities.shape[1], bins)
    tally.add(log_probabilities, labels)
    return tally.scores()


def calibrate(confidence: Float64, right: NDArray[np.bool_], bins: int = BINS) -> Calibration:
    """Return the calibration of predictions of `confidence` [N], some of which are `right` [N].

    Raises ValueError if bins is below 1.
    """
    reliability = _Reliability(bins)
    reliability.add(confidence, right)
    return reliability.calibration()


def _ratios(above: NDArray[np.int64], below: NDArray[np.int64]) -> tuple[float | None, ...]:
    pairs = zip(above.tolist(), below.tolist(), strict=True)
    return tuple(a / b if b else None for a, b in pairs)
