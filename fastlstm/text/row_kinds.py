"""The kind of a file of texts, and its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from .json_rows import json_rows
from .label_lines import MARK, label_line_rows
from .lines import read_lines
from .packed import bare_name
from .parquet import parquet_rows
from .reading import Reading
from .rows import Rows, first_line
from .tables import DELIMITERS, table_rows

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
    path: Path, how: Reading, otherwise: Callable[[Path, Iterator[str]], Rows] | None = None,
    lines: Iterator[str] | None = None,
) -> Rows:  # fmt: skip
    """Return the rows of a file of any kind.

    Parameters
    ----------
    path : ``.csv``, ``.tsv``, ``.tab``: a table; ``.jsonl``, ``.ndjson``, ``.json``: JSON
        objects; ``.parquet``. Any but the last may be packed, as in ``.csv.gz``. Of another name:
        what ``how.format`` says; a table if there is a delimiter in `how`; else what the first
        line shows: fastText's lines, JSON, or a table with tabs.
    how : the format, encoding and so on.
    otherwise : what to read other files by: called with `path` and its lines. None: an error.
    lines : of the file, if it is open already; then `path` is but a name.

    Raises
    ------
    OSError
        If there is no such file, or it is none.
    ImportError
        If it is a Parquet file and pyarrow is missing.
    ValueError
        If it is empty, of no known kind or damaged (also from the rows).
    """
    kind = _kind(path, how)
    if kind == "parquet":
        return parquet_rows(path)
    lines = read_lines(path, how.encoding) if lines is None else lines
    start = ""
    if kind is None:
        start, lines = first_line(lines)
        kind = _kind_shown(start, plain=otherwise is not None)
    if kind == "table":
        delimiter = how.delimiter
        return table_rows(path, lines, delimiter, header=how.header, quotes=how.quotes)
    if kind == "json":
        return json_rows(path, lines)
    if kind == "lines":
        return label_line_rows(path, lines)
    if otherwise is not None:
        return otherwise(path, lines)
    raise ValueError(f"{path} is empty" if not start else _unknown(path, start))


def kind_by_name(path: Path) -> str | None:
    """Return what a file's name says of its kind; None if nothing."""
    name = bare_name(path)
    return next((kind for end, kind in _BY_ENDING.items() if name.endswith(end)), None)


def _kind(path: Path, how: Reading) -> str | None:
    """Return what a file's name, or else a user, says of its kind."""
    if bare_name(path).endswith(_TO_CONVERT) and not (how.format or how.delimiter):
        raise ValueError(f"{path} is of a kind that is not read: save its texts as CSV (UTF-8)")
    return kind_by_name(path) or how.format or (None if how.delimiter is None else "table")


def _kind_shown(line: str, plain: bool) -> str | None:
    """Return what a file's first line shows; less of one whose lines may be `plain` texts."""
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
