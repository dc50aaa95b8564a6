"""A file of rows with all their columns and the results of a run beside them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from fastlstm.cli.errors import UsageError
from fastlstm.cli.options import check_folder
from fastlstm.files.writing import remove_temporary, replacing
from fastlstm.text.rows import ABSENT, FileRows

Write = Callable[[int, list[object], dict[str, Any]], None]  # a row's number, values and results

ABANDONED = 86_400.0  # seconds without a write after which a half-written file is nobody's
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".ndjson")


def check_results(path: Path, overwrite: bool) -> None:
    """Check, before a long computation, that its results can be written to `path`.

    Raises UsageError for an unknown ending, FileExistsError if there is a file already, unless it
    is to be overwritten, and OSError as of `check_folder`.
    """
    if path.suffix.lower() not in (*_DELIMITERS, *_JSON):
        kinds = ", ".join([*_DELIMITERS, *_JSON])
        raise UsageError(f"--out is {path}, expected a name that ends in {kinds}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already; give another --out, or --overwrite")
    check_folder(path)


@contextmanager
def results_file(path: Path, rows: FileRows, like: dict[str, Any]) -> Iterator[Write]:
    """Open a file for rows and their results, which appears when all are written.

    The results are `like` these: a table has their names in its header, also one without rows. A
    name that a column has already gets "predicted_" before it. Raises OSError if the file cannot be
    written; writing raises ValueError if a table has no column for a value. What a killed process
    has left of such a file is removed after a day.
    """
    place = path.resolve()  # a link stays: what is written is beside what it leads to
    remove_temporary(place.parent, [place.name], ABANDONED)
    with replacing(path) as file:
        # a lone surrogate, which JSON may hold, is written as its escape
        text = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="")
        delimiter = _DELIMITERS.get(path.suffix.lower())
        if delimiter is None:
            yield _objects(text, rows)
        else:
            table = _Table(text, rows, delimiter)
            yield table.write
            table.begin(_flat(like))
        text.flush()
        text.detach()


class _Table:
    def __init__(self, file: TextIO, rows: FileRows, delimiter: str) -> None:
        self._rows = rows
        self._writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        self._columns: list[str] = []  # of the header; those of the rows may grow later

    def begin(self, results: Iterable[str]) -> None:
        """Write the header, unless it is there."""
        if not self._columns:
            self._columns = list(self._rows.columns)
            self._writer.writerow([*self._columns, *_free(list(results), self._columns)])

    def write(self, number: int, values: list[object], results: dict[str, Any]) -> None:
        flat = _flat(results)
        self.begin(flat)
        rows, width = self._rows, len(self._columns)
        if len(values) > width and len(rows.columns) > width:
            raise ValueError(
                f"{rows.place(number)} has {rows.columns[width]!r}, for which the first row "
                "has no column; --out FILE.jsonl keeps it"
            )
        known = values[:width] + [""] * (width - len(values))
        self._writer.writerow([*map(_cell, known), *flat.values()])


def _objects(file: TextIO, rows: FileRows) -> Write:
    def write(number: int, values: list[object], results: dict[str, Any]) -> None:
        names = _keys(rows.columns)
        known = {k: v for k, v in zip(names, values, strict=False) if v is not ABSENT}
        found = dict(zip(_free(list(results), names), results.values(), strict=True))
        file.write(json.dumps({**known, **found}, ensure_ascii=False, default=_as_json) + "\n")

    return write


def _flat(results: dict[str, Any]) -> dict[str, Any]:
    """Return results as cells, with one for the probability of each class."""
    flat = {name: value for name, value in results.items() if not isinstance(value, dict)}
    for label, probability in results.get("probabilities", {}).items():
        flat[f"probability_{label}"] = probability
    return flat


def _free(names: list[str], taken: list[str]) -> list[str]:
    """Return the names, with "predicted_" before those that are taken."""
    free = []
    for name in names:
        while name in taken:
            name = f"predicted_{name}"
        free.append(name)
    return free


def _keys(columns: list[str]) -> list[str]:
    """Return a key for each column: its name, or its number if that is empty or taken."""
    keys: dict[str, None] = {}
    for n, name in enumerate(columns, 1):
        keys[name if name and name not in keys else str(n)] = None
    return list(keys)


def _cell(value: object) -> object:
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool):
        return value
    return json.dumps(value, ensure_ascii=False, default=_as_json)


def _as_json(value: object) -> object:
    """Return a value that the json module cannot write as one that it can."""
    return float(value) if isinstance(value, Decimal) else str(value)
