"""Rows of named values, from any kind of file, and how to read them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

FORMATS = ("table", "json", "lines", "parquet")
SHOWN = 20  # columns that a message lists
LONGEST = 50  # letters of a column's name in a message

ABSENT = object()  # in place of a value that a row lacks

Row = tuple[int, list[object]]
"""The number of a row, for messages, and its values, at most one for each column."""


@dataclass(frozen=True)
class Reading:
    """How files of texts are read; see `TextConfig` for what the fields mean."""

    text_column: str | None = None
    label_column: str | None = None
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    quotes: bool = True


class FileRows(NamedTuple):
    """Rows of a file.

    Attributes
    ----------
    path : of the file, for messages.
    columns : names of the columns, perhaps empty or repeated. Later JSON objects may add to them.
    rows : to be read once.
    header : whether the first row of a table gives the names; None for another file.
    unit : what the number of a row counts.
    own_names : whether the names are from the file, not from us.
    delimiter : of a table with quotes, else empty.
    """

    path: Path
    columns: list[str]
    rows: Iterator[Row]
    header: bool | None = None
    unit: str = "line"
    own_names: bool = True
    delimiter: str = ""

    def place(self, number: int) -> str:
        """Return the file and the number of a row, for messages."""
        return f"{self.path} {self.unit} {number}"


def check_encoding(name: str) -> None:
    """Raise ValueError unless `name` is an encoding of text that Python knows."""
    try:
        b"a".decode(name)  # fails for codecs that are no encodings of text, such as base64
        codecs.getincrementaldecoder(name)
    except UnicodeError:
        return  # half a character of a wide encoding
    except LookupError:
        raise ValueError(
            f"encoding is {name!r}, expected the name of one, such as utf-8, utf-16, cp1252, "
            "latin-1 or shift_jis"
        ) from None


def read_delimiter(text: str) -> str:
    """Return a delimiter of a table as one character: "tab" is one; ValueError for another text."""
    found = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(found) != 1 or found in '"\r\n':
        raise ValueError(f"delimiter is {found!r}, expected one character, such as ; or tab")
    return found


def listed(names: list[str]) -> str:
    """Return the names that are not empty, for a message, and only some of very many."""
    named = [name for name in names if name]
    shown = ", ".join(repr(name[:LONGEST]) for name in named[:SHOWN]) or "none"
    return shown + (f", ... ({len(named):,} in all)" if len(named) > SHOWN else "")


def first_line(lines: Iterator[str]) -> tuple[str, Iterator[str]]:
    """Return the first line that is not blank, or "", and an iterator over all lines."""
    blank: list[str] = []
    for line in lines:
        if line.strip():
            return line, chain(blank, [line], lines)
        blank.append(line)
    return "", iter(blank)
