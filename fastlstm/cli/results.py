"""A file of rows with what a run says of each: all their columns, and the results beside them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from fastlstm.cli.errors import UsageError
from fastlstm.cli.options import check_folder
from fastlstm.text.files import replacing
from fastlstm.text.rows import ABSENT, Rows

Write = Callable[[int, list[object], dict[str, Any]], None]
"""Writes the number of a row, its values and its results."""

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".ndjson")


def check_results(path: Path, overwrite: bool) -> None:
    """Say before a long computation what would keep its results from being written.

    Raises
    ------
    UsageError
        If the name tells no kind of file that is written.
    FileExistsError
        If there is something, unless that is to be overwritten.
    FileNotFoundError
        If the folder is not there.
    """
    if path.suffix.lower() not in (*_DELIMITERS, *_JSON):
        kinds = ", ".join([*_DELIMITERS, *_JSON])
        raise UsageError(f"--out is {path}, expected a name that ends in {kinds}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already; give another --out, or --overwrite")
    check_folder(path)


@contextmanager
def results_file(path: Path, rows: Rows) -> Iterator[Write]:
    """Open a file for rows and their results; it is there once all are written.

    A result of the name of a column is called "predicted_" and that.

    Raises
    ------
    OSError
        If it cannot be written.
    ValueError
        From writing: if a table has no column for a value, as the first row had none.
    """
    with replacing(path) as file:
        # half a character, which JSON may hold, is written as JSON spells it
        text = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="")
        delimiter = _DELIMITERS.get(path.suffix.lower())
        yield _objects(text, rows) if delimiter is None else _table(text, rows, delimiter)
        text.flush()
        text.detach()


def _table(file: TextIO, rows: Rows, delimiter: str) -> Write:
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    columns: list[str] = []  # those of the header; rows.columns may grow

    def write(number: int, values: list[object], results: dict[str, Any]) -> None:
        flat = _flat(results)
        if not columns:
            columns.extend(rows.columns)
            writer.writerow([*columns, *_free(list(flat), columns)])
        if len(values) > len(columns) and len(rows.columns) > len(columns):
            raise ValueError(
                f"{rows.place(number)} has {rows.columns[len(columns)]!r}, for which the first row "
                "has no column; --out FILE.jsonl keeps it"
            )
        known = values[: len(columns)]
        known += [""] * (len(columns) - len(known))
        writer.writerow([*map(_cell, known), *flat.values()])

    return write


def _objects(file: TextIO, rows: Rows) -> Write:
    def write(number: int, values: list[object], results: dict[str, Any]) -> None:
        names = _keys(rows.columns)
        known = {k: v for k, v in zip(names, values, strict=False) if v is not ABSENT}
        found = dict(zip(_free(list(results), names), results.values(), strict=True))
        file.write(json.dumps({**known, **found}, ensure_ascii=False, default=_as_json) + "\n")

    return write


def _flat(results: dict[str, Any]) -> dict[str, Any]:
    """Return results as cells: the probability of each class is one."""
    flat = {name: value for name, value in results.items() if not isinstance(value, dict)}
    for label, probability in results.get("probabilities", {}).items():
        flat[f"probability_{label}"] = probability
    return flat


def _free(names: list[str], taken: list[str]) -> list[str]:
    """Return names that are not taken."""
    free = []
    for name in names:
        while name in taken:
            name = f"predicted_{name}"
        free.append(name)
    return free


def _keys(columns: list[str]) -> list[str]:
    """Return a different name for each column: the number of one whose own is empty or taken."""
    keys: dict[str, None] = {}
    for n, name in enumerate(columns, 1):
        keys[name if name and name not in keys else str(n)] = None
    return list(keys)


def _cell(value: object) -> object:
    """Return what a cell of a table shows of a value."""
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool):
        return value
    return json.dumps(value, ensure_ascii=False, default=_as_json)


def _as_json(value: object) -> object:
    """Return a value that JSON has no name for as one that it has."""
    return float(value) if isinstance(value, Decimal) else str(value)
