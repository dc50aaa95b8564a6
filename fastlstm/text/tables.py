"""Tables in text files, such as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from fastlstm.counts import count_of
from fastlstm.text.records import Record, read_records
from fastlstm.text.rows import FileRows, Reading, Row, first_line, listed

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}  # by the ending of the name
_OTHERS = "\t;|,"


def table_rows(path: Path, lines: Iterator[str], how: Reading) -> FileRows:
    """Return the rows of a table, which are read as they are asked for.

    Without a delimiter in `how` it is the usual one for such a name or, if the first line has none,
    the one it has most of: tab ; | or comma. Without a header the columns are called "1", "2", ...
    Raises ValueError if the file is empty, or from the rows, if one cannot be read, has more fields
    than columns, or lacks some of named columns.
    """
    delimiter = how.delimiter
    if delimiter is None:
        start, lines = first_line(lines)
        delimiter = _found(start, path)
    records = read_records(lines, str(path), delimiter, how.quotes)
    number, first = next(records, (0, []))
    if not first:
        raise ValueError(f"{path} is empty")
    if how.header:
        columns = [name.strip() for name in first]
    else:
        columns = [str(n + 1) for n in range(len(first))]
        records = chain([(number, first)], records)
    rows = _fitting(path, columns, records)
    return FileRows(path, columns, rows, how.header, delimiter=delimiter if how.quotes else "")


def _found(line: str, path: Path) -> str:
    usual = next((d for end, d in DELIMITERS.items() if end in path.name.lower()), ",")
    return usual if usual in line else max(_OTHERS, key=line.count)


def _fitting(path: Path, columns: list[str], records: Iterator[Record]) -> Iterator[Row]:
    """Yield the rows; each must have a value for every named column, and none beyond the last."""
    named = 1 + max((n for n, name in enumerate(columns) if name), default=-1)
    for number, record in records:
        if len(record) < named or any(record[len(columns) :]):
            raise ValueError(
                f"{path} line {number} has {count_of(len(record), 'field')}, expected "
                f"{len(columns):,} ({listed(columns)}); a text that holds the delimiter must be in "
                "quotes"
            )
        yield number, [*record]
