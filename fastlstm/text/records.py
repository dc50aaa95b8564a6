"""The records of a delimited text, with quotes as files have them and not only as standards say.

A field may be in double quotes, and a quote within it doubled. Beyond that:

- In a tab file a quote that opens no whole field is a character: one that nothing closes before
  the next tab of another line, or that has more behind it. Such files often know no quotes.
- Elsewhere, where a record cannot be read so and holds a quote after a backslash, backslashes
  escape quotes and backslashes, from there to the end of the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

Record = tuple[int, list[str]]  # the number of the line it starts on, and its fields

_LARGEST_FIELD = 2**31 - 1  # what every platform's C long holds
_RUNS_ON = re.compile(r'[^"\t]*(?:""[^"\t]*)*\t')  # within an open quote: a tab before it closes
_ESCAPED = re.compile(r'\\(["\\])')


def read_records(lines: Iterator[str], name: str, delimiter: str, quotes: bool) -> Iterator[Record]:
    """Yield the records that are not blank.

    Parameters
    ----------
    lines : with their ends.
    name : what errors call the file.
    delimiter : one character.
    quotes : whether a field may be in double quotes; else they are characters.

    Raises
    ------
    ValueError
        If a record cannot be read: names its first line.
    """
    source = _Lines(lines, tabs=quotes and delimiter == "\t")
    style: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE

    def parser(lines: Iterable[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=delimiter, quoting=style, strict=True)

    reader = parser(source)
    while True:
        number = source.next_record()
        try:
            with _large_fields():
                row = next(reader)
            if source.tabs and source.spans_lines and any("\t" in f and "\n" in f for f in row):
                row = source.first_line_bare()
        except StopIteration:
            return
        except (csv.Error, _RunsOn) as error:
            if source.tabs:
                row = source.first_line_bare()
            else:
                row = _escaped(source, parser, f"{name} line {number}", error, quotes)
        if row:
            yield number, row


class _RunsOn(Exception):
    """A quote is still open where the next record must have begun."""


class _Lines:
    """Lines of a file that can be taken back.

    Parameters
    ----------
    lines : of the file.
    tabs : whether to raise `_RunsOn` for a tab on a later line of a record, in an open quote.
    """

    def __init__(self, lines: Iterator[str], tabs: bool) -> None:
        self.tabs = tabs
        self.escapes = False  # whether a backslash before a quote stands for a doubled one
        self._lines, self._number = lines, 1
        self._record: list[str] = []  # lines given out since the record began
        self._back: list[str] = []  # lines taken back, the last one first

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.pop() if self._back else next(self._lines)
        self._record.append(line)
        if self.tabs and self.spans_lines and _RUNS_ON.match(line):
            raise _RunsOn
        return _ESCAPED.sub(_undoubled, line) if self.escapes else line

    @property
    def spans_lines(self) -> bool:
        """Whether the record has more than one line so far."""
        return len(self._record) > 1

    @property
    def holds_escapes(self) -> bool:
        """Whether a line of the record has a quote after a backslash."""
        return any('\\"' in line for line in self._record)

    def next_record(self) -> int:
        """Begin a record; return the number of its line."""
        self._number += len(self._record)
        self._record = []
        return self._number

    def take_back(self) -> None:
        """Give the lines of the record out again."""
        self._back += reversed(self._record)
        self._record = []

    def first_line_bare(self) -> list[str]:
        """Return the fields of the record's first line, its quotes being characters."""
        self.take_back()
        self._record = [self._back.pop()]
        return self._record[0].rstrip("\n").split("\t")


def _undoubled(escape: re.Match[str]) -> str:
    return '""' if escape[1] == '"' else "\\"


def _escaped(
    source: _Lines, parser: Callable[[Iterable[str]], Iterator[list[str]]], place: str,
    error: Exception, quotes: bool,
) -> list[str]:  # fmt: skip
    """Return a record of which reading as the standard says has failed."""
    if quotes and source.holds_escapes and not source.escapes:
        source.take_back()
        source.escapes = True
        try:
            with _large_fields():
                return next(parser(source))
        except (csv.Error, StopIteration):
            pass  # the first error says more
    hint = "; quotes=False takes quotes for characters" if quotes else ""
    raise ValueError(f"{place} is not CSV: {error}{hint}") from error


@contextmanager
def _large_fields() -> Iterator[None]:
    """Let a field be of any size; the limit is one of the whole process, so it is put back."""
    before = csv.field_size_limit(_LARGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
