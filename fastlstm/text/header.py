"""A hint for a table whose columns are unknown: perhaps its first row is no header."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from fastlstm.text.rows import FileRows

_LOOKED_AT = 200  # rows
_MOST_COLUMNS = 100  # of a table that is looked at


class _Guess(NamedTuple):
    """The places of the column of the longest texts and of that of the fewest distinct values."""

    text: int
    label: int


def header_hint(rows: FileRows, kinds: Sequence[str]) -> str:
    """Return what an error adds about the header of a table; this uses up its rows.

    `kinds` are the columns that the user must name: "text", perhaps also "label".
    """
    if rows.header is None:
        return ""
    try:
        sample = [[str(value) for value in values] for _, values in islice(rows.rows, _LOOKED_AT)]
    except ValueError:  # another error is reported already
        sample = []
    if rows.header:
        sample.insert(0, rows.columns)
    guess = _guess(sample)
    given = " ".join(f"{kind}_column={getattr(guess, kind) + 1}" for kind in kinds if guess)
    if not rows.header:
        return f", such as {given}" if given else ""
    if guess and _recurs(sample, guess.label):
        first = ", ".join(repr(value[:30]) for value in rows.columns[:3] if value)
        return f". It seems to have no header, as its first row is {first}: header=False {given}"
    return ". If its first row is no header, give header=False; then they are called 1, 2, ..."


def _guess(sample: Sequence[Sequence[str]]) -> _Guess | None:
    """Guess which columns hold text and label; None if the sample does not show it."""
    width = min(map(len, sample), default=0)
    if len(sample) < 2 or not 2 <= width <= _MOST_COLUMNS:
        return None
    columns = list(zip(*(row[:width] for row in sample), strict=True))
    text = max(range(width), key=lambda n: sum(map(len, columns[n])))
    kinds = {n: len(set(columns[n])) for n in range(width) if n != text and all(columns[n])}
    several = (n for n, count in kinds.items() if count > 1)
    label = min(several, key=kinds.__getitem__, default=None)
    return None if label is None else _Guess(text, label)


def _recurs(sample: Sequence[Sequence[str]], column: int) -> bool:
    """Whether the first value of a column comes again; a column's name does not."""
    return any(row[column] == sample[0][column] for row in sample[1:])
