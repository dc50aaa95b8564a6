"""Tables in text files: CSV and its kin."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from .records import Record, read_records
from .rows import Row, Rows, first_line, listed

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
"""What the fields of a table are between, by the ending of its name."""
_OTHERS = "\t;|,"


def table_rows(
    path: Path, lines: Iterator[str], delimiter: str | None, *, header: bool = True,
    quotes: bool = True,
) -> Rows:  # fmt: skip
    """Return the rows of a table; they are read when they are asked for.

    Parameters
    ----------
    path : what errors call the file.
    lines : its lines.
    delimiter : one character; None for the usual one of such a name, or where the first line
        holds none, the one that it holds most: one of tab ; | and comma.
    header : whether the first row names the columns; else they are called "1", "2", ...
    quotes : whether a field may be in double quotes, and then hold delimiters and line ends; see
        `records` for what else is read.

    Raises
    ------
    ValueError
        If the file is empty, or (from the rows) a row has fields that no column is for or lacks
        some of named columns, or cannot be read.
    """
    if delimiter is None:
        start, lines = first_line(lines)
        delimiter = _found(start, path)
    records = read_records(lines, str(path), delimiter, quotes)
    number, first = next(records, (0, []))
    if not first:
        raise ValueError(f"{path} is empty")
    if header:
        columns = [name.strip() for name in first]
    else:
        columns = [str(n + 1) for n in range(len(first))]
        records = chain([(number, first)], records)
    return Rows(
        path, columns, _fitting(path, columns, records), header=header,
        delimiter=delimiter if quotes else "",
    )  # fmt: skip


def _found(line: str, path: Path) -> str:
    usual = next((d for end, d in DELIMITERS.items() if end in path.name.lower()), ",")
    return usual if usual in line else max(_OTHERS, key=line.count)


def _fitting(path: Path, columns: list[str], records: Iterator[Record]) -> Iterator[Row]:
    """Yield rows that have a value for each named column, and none beyond the columns."""
    named = 1 + max((n for n, name in enumerate(columns) if name), default=-1)
    for number, record in records:
        if len(record) < named or any(record[len(columns) :]):
            raise ValueError(
                f"{path} line {number} has {len(record):,} fields, expected {len(columns):,} "
                f"({listed(columns)}); a text that holds the delimiter must be in quotes"
            )
        yield number, [*record]
