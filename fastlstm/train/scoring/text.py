"""Scores as readable text."""

from __future__ import annotations

from collections.abc import Sequence

from fastlstm.counts import count_of
from fastlstm.printable import cut, printable
from fastlstm.train.scoring.scores import Calibration, Scores
from fastlstm.train.table import aligned, shown

MATRIX = 20  # more classes are too wide: the commonest confusions are listed
NAMED = 6  # with more classes the columns have numbers for names
CONFUSIONS = 20
WIDEST = 40  # columns of a class name


def score_text(scores: Scores, labels: Sequence[str], more: str = "") -> str:
    """Return accuracy, the table of classes, the confusion matrix and calibration.

    Of many classes only the commonest confusions are shown; `more` tells where the others are.
    """
    head = [
        f"accuracy  {scores.accuracy:.2%} of {count_of(sum(scores.support), 'text')}",
        f"loss      {scores.loss:.4f}",
        f"macro F1  {scores.macro_f1:.4f}",
    ]
    labels = [cut(printable(label), WIDEST) for label in labels]
    if len(labels) <= MATRIX:
        matrix = _matrix(scores, labels)
    else:
        matrix = f"commonest confusions{more}\n{_confusions(scores, labels)}"
    parts = ["\n".join(head), _classes(scores, labels), matrix]
    return "\n\n".join([*parts, _calibration(scores.calibration)])


def _classes(scores: Scores, labels: Sequence[str]) -> str:
    rows = zip(labels, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    table: list[tuple[str, ...]] = [("class", "precision", "recall", "F1", "texts")]
    for label, precision, recall, f1, count in rows:
        table.append((label, *(shown(x, ".4f") for x in (precision, recall, f1)), f"{count:,}"))
    return aligned(table, left=1)


def _matrix(scores: Scores, labels: Sequence[str]) -> str:
    heads, names = list(labels), list(labels)
    if len(labels) > NAMED:
        heads = [str(n + 1) for n in range(len(labels))]
        names = [f"{n:>2} {label}" for n, label in zip(heads, labels, strict=True)]
    table = [("true \\ predicted", *heads)]
    for name, row in zip(names, scores.confusion, strict=True):
        table.append((name, *(f"{count:,}" for count in row)))
    return aligned(table, left=1)


def _confusions(scores: Scores, labels: Sequence[str]) -> str:
    found = [
        (count, labels[i], labels[j])
        for i, row in enumerate(scores.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    table = [("true class", "taken for", "texts")]
    for count, true, predicted in sorted(found, key=lambda x: -x[0])[:CONFUSIONS]:
        table.append((true, predicted, f"{count:,}"))
    return aligned(table, left=2)


def _calibration(calibration: Calibration) -> str:
    table = [("confidence", "texts", "mean confidence", "accuracy")]
    for b in calibration.bins:
        if b.count:
            numbers = (shown(b.confidence, ".4f"), shown(b.accuracy, ".4f"))
            table.append((f"{b.low:.3f} to {b.high:.3f}", f"{b.count:,}", *numbers))
    return (
        f"expected calibration error {calibration.error:.4f}, "
        f"{count_of(len(calibration.bins), 'bin')} of equal width (Guo et al. "
        f"2017)\n{aligned(table)}"
    )
