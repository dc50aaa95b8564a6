"""Texts alone, without labels: the rows of a file of any kind, or its lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fastlstm.files.naming import named_path
from fastlstm.text.row_kinds import kind_by_name, read_rows
from fastlstm.text.rows import FileRows, Reading, Row
from fastlstm.text.which_columns import find_text, text_of


def lines_as_rows(path: Path, lines: Iterator[str]) -> FileRows:
    """Return lines as the rows of a table with one column."""
    rows: Iterator[Row] = ((n, [line.removesuffix("\n")]) for n, line in enumerate(lines, 1))
    return FileRows(path, ["text"], rows, own_names=False)


def read_plain(path: str | Path, how: Reading | None = None) -> list[str]:
    """Read the texts of a file; labels beside them are not looked at.

    Parameters
    ----------
    path : a file, see `row_kinds.read_rows`; where its name tells no kind, each line is a text.
    how : the columns, encoding and so on; a format and a delimiter are for other files.

    Raises
    ------
    OSError, ImportError
        As `read_rows`.
    ValueError
        If it has no texts, cannot be decoded, lacks the column or is damaged; names the file and,
        where there is one, the line.
    """
    path, how = named_path(path), how or Reading()
    if kind_by_name(path) is None:
        how = replace(how, format=None, delimiter=None)
    rows = read_rows(path, how, lines_as_rows)
    places = find_text(rows, how.text_column)
    texts = [text_of(rows, number, values, places) for number, values in rows.rows]
    if not any(text.strip() for text in texts):
        raise ValueError(f"{path} is empty: it has no texts")
    return texts
