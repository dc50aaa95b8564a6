"""Rows of named values, from whatever kind of file they are in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

SHOWN = 20  # columns that a message lists
LONGEST = 50  # letters of a name there

ABSENT = object()  # stands where a row lacks a value

Row = tuple[int, list[object]]
"""The number of a row, for messages, and its values: as many as there are columns, or fewer."""


class Rows(NamedTuple):
    """Rows being read.

    Attributes
    ----------
    path : what errors call the file.
    columns : names of the columns, some perhaps empty or twice. Of JSON objects the keys so far:
        the list grows where a later object has others.
    rows : to be read once.
    header : of a table, whether the names are those of its first row; None for another file.
    unit : what the number of a row counts.
    own_names : whether the file names its columns itself, or we do.
    delimiter : of a table with quotes, what is between its fields; else empty.
    """

    path: Path
    columns: list[str]
    rows: Iterator[Row]
    header: bool | None = None
    unit: str = "line"
    own_names: bool = True
    delimiter: str = ""

    def place(self, number: int) -> str:
        """Return what errors call the row of that number."""
        return f"{self.path} {self.unit} {number}"


def listed(names: list[str]) -> str:
    """Return names for a message, some of them if there are many; those without a name left out."""
    named = [name for name in names if name]
    shown = ", ".join(repr(name[:LONGEST]) for name in named[:SHOWN]) or "none"
    return shown + (f", ... ({len(named):,} in all)" if len(named) > SHOWN else "")


def first_line(lines: Iterator[str]) -> tuple[str, Iterator[str]]:
    """Return the first line that is not blank, "" if there is none; and all lines, that again."""
    blank: list[str] = []
    for line in lines:
        if line.strip():
            return line, chain(blank, [line], lines)
        blank.append(line)
    return "", iter(blank)
