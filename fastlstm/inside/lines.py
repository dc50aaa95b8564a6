"""How the words of a text are cut into the lines of a picture, and which of them are named."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastlstm.inside.collect import Inspection
from fastlstm.plotting import LETTER
from fastlstm.printable import columns, cut, printable

LINE_WORDS, MOST_LINES = 60, 4  # words in a line, and the most lines
WIDEST, LEFT, RIGHT = 16.6, 0.75, 0.8  # inches of the picture and of its edges
LEVEL = 0.3  # inches that level names take
WORD_SIZE, LETTER_HEIGHT = 9, 0.135  # of a word's letters: points, and inches with a little air
LONGEST = 24  # columns of a name
MARK = " (?)"  # after a word that training did not have


class Lines(NamedTuple):
    """How the text is cut into lines of words; lengths are inches."""

    total: int
    span: int  # words in a line
    width: float  # of the picture
    across: float  # of a panel
    names: list[str]  # of all words
    named: list[int]  # the words that are named
    below: float  # what the names take below a panel

    def words(self, number: int) -> slice:
        """Return the words of a line."""
        return slice(number * self.span, (number + 1) * self.span)


def lines_of(inspection: Inspection) -> Lines:
    """Return how the words are cut into as few lines as there is room for."""
    W = len(inspection.words)
    total = min(-(-W // LINE_WORDS), MOST_LINES)
    span = -(-W // total)
    width = float(np.clip(2.8 + 0.23 * span, 7.5, WIDEST))
    inches = (width - LEFT - RIGHT) / span
    names, named = marked_words(inspection), named_words(inspection, inches)
    below = _height_of_names([names[w] for w in named], inches)
    return Lines(total, span, width, inches * span, names, named, below)


def marked_words(inspection: Inspection) -> list[str]:
    """Return the words, cut where they are long; those that training did not have with a mark."""
    pairs = zip(inspection.words, inspection.known, strict=True)
    return [short(word) + ("" if known else MARK) for word, known in pairs]


def named_words(inspection: Inspection, inches: float) -> list[int]:
    """Return the words that are named: all, or so many that no name covers another.

    Where a word's `inches` are too few, those that changed the state more go first.
    """
    W, apart = len(inspection.words), int(np.ceil(LETTER_HEIGHT / inches))
    if apart <= 1:
        return list(range(W))
    moved = inspection.norms["moved"]
    taken, found = np.zeros(W + 2 * apart, bool), []
    for w in np.argsort(-moved, kind="stable").tolist():
        # word w is at w + apart in `taken`; rows follow one another without a gap
        if not taken[w + 1 : w + 2 * apart].any():
            taken[w + apart] = True
            found.append(w)
    return sorted(found)


def _height_of_names(names: list[str], inches: float) -> float:
    """Return what the names take below a panel: little where each has room beside others."""
    longest = max(map(columns, names)) * LETTER * WORD_SIZE / 72
    return LEVEL if longest < inches - 0.05 else longest + 0.15


def short(name: str) -> str:
    """Return a name as it can be printed, cut where it is long."""
    return cut(printable(name), LONGEST)
