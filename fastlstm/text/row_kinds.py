"""The kind of a file with texts, and its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from fastlstm.text.json_rows import json_rows
from fastlstm.text.label_lines import MARK, label_line_rows
from fastlstm.text.lines import read_lines, read_texts
from fastlstm.text.packed import bare_name
from fastlstm.text.parquet import parquet_rows
from fastlstm.text.rows import FileRows, Reading, first_line
from fastlstm.text.tables import DELIMITERS, table_rows

_BY_ENDING = {
    **dict.fromkeys(DELIMITERS, "table"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "json"),
    ".parquet": "parquet",
}
_TO_CONVERT = (
    ".xlsx", ".xls", ".ods", ".docx", ".pdf", ".feather", ".arrow", ".pkl", ".pickle", ".npz",
    ".html", ".xml", ".sqlite", ".db", ".tar", ".tgz", ".7z", ".rar",
)  # fmt: skip


def read_rows(
    path: Path, how: Reading, otherwise: Callable[[Path, Iterator[str]], FileRows] | None = None,
    lines: Iterator[str] | None = None,
) -> FileRows:  # fmt: skip
    """Return the rows of a file of any kind.

    Parameters
    ----------
    path : ``.csv``, ``.tsv``, ``.tab``: a table; ``.jsonl``, ``.ndjson``, ``.json``: JSON objects;
        ``.parquet``. All but the last may be packed, as in ``.csv.gz``. For other names the kind is
        ``how.format``, or a table if `how` has a delimiter, or what the first line shows:
        fastText's lines, JSON, or a table with tabs.
    how : the format, encoding and so on.
    otherwise : reads a file of no known kind, called with `path` and its lines. None: an error.
    lines : of a file that is open already; then `path` is just a name.

    Raises
    ------
    OSError
        If there is no such file, or no regular one.
    ImportError
        If it is a Parquet file and pyarrow is missing.
    ValueError
        If it is empty, of no known kind or damaged (also from the rows), or Parquet of `lines`.
    """
    kind = _kind(path, how)
    if kind == "parquet":
        if lines is not None:  # Parquet is read from its end, and is no text
            raise ValueError(f"{path} has lines of text, no Parquet: name the file itself")
        return parquet_rows(path)
    if kind == "json":  # of which all may be one line
        return json_rows(path, read_texts(path, how.encoding) if lines is None else lines)
    lines = read_lines(path, how.encoding) if lines is None else lines
    start = ""
    if kind is None:
        start, lines = first_line(lines)
        kind = _kind_shown(start, plain=otherwise is not None)
    if kind == "table":
        return table_rows(path, lines, how)
    if kind == "json":
        return json_rows(path, lines)
    if kind == "lines":
        return label_line_rows(path, lines)
    if otherwise is not None:
        return otherwise(path, lines)
    raise ValueError(f"{path} is empty" if not start else _unknown(path, start))


def kind_by_name(path: Path) -> str | None:
    """Return the kind of file that the name tells, or None."""
    name = bare_name(path)
    return next((kind for end, kind in _BY_ENDING.items() if name.endswith(end)), None)


def _kind(path: Path, how: Reading) -> str | None:
    """Return the kind of file that its name or else the user tells, or None."""
    if bare_name(path).endswith(_TO_CONVERT) and not (how.format or how.delimiter):
        raise ValueError(f"{path} is of a kind that is not read: save its texts as CSV (UTF-8)")
    return kind_by_name(path) or how.format or (None if how.delimiter is None else "table")


def _kind_shown(line: str, plain: bool) -> str | None:
    """Return the kind that the first line shows, or None; `plain` lines may look like JSON."""
    if line.startswith(MARK):
        return "lines"
    if plain:
        return None
    if line.lstrip().startswith(("{", "[")):
        return "json"
    return "table" if "\t" in line else None


def _unknown(path: Path, line: str) -> str:
    return (
        f"{path} is of no known kind. If it is a table, give its delimiter=; if its lines are a "
        f"label, a space and a text each, as {line.strip()[:30]!r} may be, give format=lines; "
        f"else expected a name that ends in {', '.join(_BY_ENDING)}, perhaps packed (.gz, .bz2, "
        ".xz, .zip), or a folder"
    )
