"""Tables in text files: CSV and its kin."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from .lines import read_lines

_LARGEST_FIELD = 2**31 - 1  # what every platform's C long holds


class Table(NamedTuple):
    """A table being read.

    Attributes
    ----------
    columns : names of the columns.
    rows : line number and fields of each row, as many fields as columns; blank lines left out.
    """

    columns: list[str]
    rows: Iterator[tuple[int, list[str]]]


def read_table(
    path: Path, delimiter: str, encoding: str | None = None, *, header: bool = True,
    quotes: bool = True,
) -> Table:  # fmt: skip
    """Open a table; its rows are read when they are asked for.

    Parameters
    ----------
    path : the file.
    delimiter : one character.
    encoding : see `lines.lines_of`.
    header : whether the first row names the columns; else they are called "1", "2", ...
    quotes : whether a field may be in double quotes, and then hold delimiters and line ends.

    Raises
    ------
    ValueError
        If the file is empty or cannot be decoded, a name occurs twice, or (from `rows`) a row has
        more or fewer fields than there are columns, or an opened quote is not closed.
    """
    rows = _rows(path, delimiter, encoding, quotes)
    number, first = next(rows, (0, []))
    if not first:
        raise ValueError(f"{path} is empty")
    if not header:
        columns = [str(n + 1) for n in range(len(first))]
        return Table(columns, _fitting(path, columns, _with(number, first, rows)))
    columns = [name.strip() for name in first]
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise ValueError(f"{path} has two columns of the same name: {', '.join(sorted(twice))}")
    return Table(columns, _fitting(path, columns, rows))


def _with(
    number: int, first: list[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield number, first
    yield from rows


def _rows(
    path: Path, delimiter: str, encoding: str | None, quotes: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the fields of each row that is not blank."""
    style: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    reader = csv.reader(read_lines(path, encoding), delimiter=delimiter, quoting=style, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            with _large_fields():
                row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            hint = "; --no-quotes takes quotes for characters" if quotes else ""
            raise ValueError(f"{path} line {start} is not CSV: {error}{hint}") from error
        if row:
            yield start, row


def _fitting(
    path: Path, columns: list[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    for number, row in rows:
        if len(row) != len(columns):
            raise ValueError(
                f"{path} line {number} has {len(row)} fields, expected {len(columns)} "
                f"({', '.join(columns)}); a text that holds the delimiter must be in quotes"
            )
        yield number, row


@contextmanager
def _large_fields() -> Iterator[None]:
    """Let a field be of any size; the limit is one of the whole process, so it is put back."""
    before = csv.field_size_limit(_LARGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
