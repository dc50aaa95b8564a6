"""The records of a delimited text, with standard quotes and two common deviations.

A field may be in double quotes, and a quote within it is doubled. Beyond that:

- Between tabs, a quote is a plain character unless it opens a whole field. It does not if the
  field goes on after the closing quote, or if a later line has a tab before that. Many tab files
  use no quotes.
- With other delimiters, if a record cannot be read but holds a quote after a backslash, then
  backslashes escape quotes and backslashes, from there to the end of the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Record = tuple[int, list[str]]  # the number of the line it starts on, and its fields

_LARGEST_FIELD = 2**31 - 1  # fits a C long on every platform
_RUNS_ON = re.compile(r'[^"\t]*(?:""[^"\t]*)*\t')  # a tab before an open quote closes
_ESCAPED = re.compile(r'\\(["\\])')


def read_records(lines: Iterator[str], name: str, delimiter: str, quotes: bool) -> Iterator[Record]:
    """Yield the records that are not blank; without `quotes` a quote is a plain character.

    `lines` have their ends; errors call the file `name`. Raises ValueError with the first line of a
    record that cannot be read.
    """
    source = _Lines(lines, delimiter, quotes)
    reader = source.reader()
    while True:
        number = source.next_record()
        try:
            with _large_fields():
                row = next(reader)
            if source.tabs and len(source.record) > 1 and any("\t" in f and "\n" in f for f in row):
                row = source.first_line_bare()
        except StopIteration:
            return
        except (csv.Error, _RunsOn) as error:
            if source.tabs:
                row = source.first_line_bare()
            else:
                row = _escaped(source, f"{name} line {number}", error)
        if row:
            yield number, row


class _RunsOn(Exception):
    """A quote is still open where the next record seems to begin."""


class _Lines:
    """Lines of a file that can be read again from the start of a record."""

    def __init__(self, lines: Iterator[str], delimiter: str, quotes: bool) -> None:
        self.quotes, self._delimiter = quotes, delimiter
        self.tabs = quotes and delimiter == "\t"
        self.escapes = False  # whether a backslash escapes a quote
        self.record: list[str] = []  # lines of the record so far
        self._lines, self._number = lines, 1
        self._back: list[str] = []  # lines to read again, the last one first

    def reader(self) -> Iterator[list[str]]:
        """Return an iterator over the records."""
        style: Literal[0, 3] = csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE
        return csv.reader(self, delimiter=self._delimiter, quoting=style, strict=True)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.pop() if self._back else next(self._lines)
        self.record.append(line)
        if self.tabs and len(self.record) > 1 and _RUNS_ON.match(line):
            raise _RunsOn
        return _ESCAPED.sub(_undoubled, line) if self.escapes else line

    def next_record(self) -> int:
        """Begin a record; return the number of its first line."""
        self._number += len(self.record)
        self.record = []
        return self._number

    def take_back(self) -> None:
        """Read the lines of the record again."""
        self._back += reversed(self.record)
        self.record = []

    def first_line_bare(self) -> list[str]:
        """Return the fields of the record's first line, with quotes as plain characters."""
        self.take_back()
        self.record = [self._back.pop()]
        return self.record[0].rstrip("\n").split("\t")


def _undoubled(escape: re.Match[str]) -> str:
    return '""' if escape[1] == '"' else "\\"


def _escaped(source: _Lines, place: str, error: Exception) -> list[str]:
    """Return a record that standard quotes do not fit, with escapes if it has some."""
    if source.quotes and not source.escapes and any('\\"' in line for line in source.record):
        source.take_back()
        source.escapes = True
        try:
            with _large_fields():
                return next(source.reader())
        except (csv.Error, StopIteration):
            pass  # the first error tells more
    hint = "; quotes=False takes quotes for characters" if source.quotes else ""
    raise ValueError(f"{place} is not CSV: {error}{hint}") from error


@contextmanager
def _large_fields() -> Iterator[None]:
    """Lift the limit of a field's size, which the csv module has for the whole process."""
    before = csv.field_size_limit(_LARGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
