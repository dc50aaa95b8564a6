"""Spans of labels that begin with B- and go on with I-, and how many of them are found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """The steps start..stop-1, and what they are."""

    kind: str
    start: int
    stop: int


class SpanScores(NamedTuple):
    """How many spans there are, how many were said, and how many of these were right.

    A span is right if its kind, its first and its last step are. None for 0 / 0.
    """

    true: int
    said: int
    right: int

    @property
    def precision(self) -> float | None:
        """Share of what was said that is right."""
        return self.right / self.said if self.said else None

    @property
    def recall(self) -> float | None:
        """Share of what there is that was found."""
        return self.right / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two."""
        both = self.true + self.said
        return 2 * self.right / both if both else None


def spans(labels: Iterable[str]) -> list[Span]:
    """Return the spans of labels "B-kind", "I-kind" and "O", in order.

    As conlleval, an I- that follows no label of its kind begins a span.

    Raises
    ------
    TypeError, ValueError
        If a label is none of these, or the labels are one text.
    """
    return _spans("labels", labels)


def _spans(called: str, labels: Iterable[str]) -> list[Span]:
    """Return the spans of labels, which errors call as the user does."""
    found: list[Span] = []
    kind, start = "", 0
    for t, label in enumerate([*_texts(called, labels), "O"]):
        mark, _, name = label.partition("-")
        if label != "O" and not (mark in ("B", "I") and name):
            raise ValueError(f"{called}[{t}] is {label!r:.60}, expected O, or B- or I- and a kind")
        if kind and (mark != "I" or name != kind):
            found.append(Span(kind, start, t))
            kind = ""
        if name and not kind:
            kind, start = name, t
    return found


def span_scores(true: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> SpanScores:
    """Count the spans of sequences of labels.

    Parameters
    ----------
    true : the labels of each sequence, as they are.
    said : as they were said.

    Raises
    ------
    TypeError, ValueError
        If a label is none, or `said` has not a label for each of `true`.
    """
    rows = [_rows("true", true), _rows("said", said)]
    if [len(labels) for labels in rows[0]] != [len(labels) for labels in rows[1]]:
        raise ValueError("said has other lengths than true, expected a label for each")
    there, found = (
        [set(_spans(f"{called}[{n}]", labels)) for n, labels in enumerate(of_each)]
        for called, of_each in zip(("true", "said"), rows, strict=True)
    )
    pairs = list(zip(there, found, strict=True))
    return SpanScores(
        sum(len(a) for a, _ in pairs),
        sum(len(b) for _, b in pairs),
        sum(len(a & b) for a, b in pairs),
    )


def _rows(called: str, sequences: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the labels of each sequence; TypeError for those of one alone."""
    if isinstance(sequences, (str, bytes)) or not isinstance(sequences, Iterable):
        raise TypeError(f"{called} is {sequences!r:.60}, expected a list of labels each sequence")
    return [_texts(f"{called}[{n}]", labels) for n, labels in enumerate(sequences)]


def _texts(called: str, labels: Iterable[str]) -> list[str]:
    """Return labels as a list; TypeError for a text, which is one of letters, and for numbers."""
    if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable):
        raise TypeError(
            f"{called} is {labels!r:.60}, expected a list of labels such as B-PERSON, I-PERSON or O"
        )
    found = list(labels)
    for t, label in enumerate(found):
        if not isinstance(label, str):
            raise TypeError(
                f"{called}[{t}] is {label!r:.60}, which is no text, expected O, or B- or I- and a "
                "kind: give the names of labels that are numbers, as [names[k] for k in row]"
            )
    return found
