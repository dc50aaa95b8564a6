"""Rows that are JSON objects: one on each line, or in an array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import chain
from pathlib import Path
from typing import Any

from .json_value import whole
from .rows import ABSENT, FileRows, Row, first_line


def _exact(text: str) -> Decimal:
    """Return a number with a fraction or an exponent; ValueError if Decimal cannot hold it."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"a number is {text:.40}, expected an exponent within reason") from None


# Numbers exactly: labels are compared by value.
_DECODER = json.JSONDecoder(parse_float=_exact, parse_int=whole)
_AFTER_SPACE = re.compile(r"[^ \t\r\n]")
_EXPECTED = "expected a JSON object on each line, or an array of objects"


def json_rows(path: Path, lines: Iterator[str]) -> FileRows:
    """Return the objects of a file; JSON lines are read as the rows are asked for.

    Raises ValueError, also from the rows, if the file is empty or holds no JSON objects.
    """
    start, lines = first_line(lines)
    spread = start.strip() == "{" or start.lstrip().startswith("[")  # over many lines
    unit = "object" if spread else "line"
    values = _of_text(path, "".join(lines)) if spread else _of_lines(path, lines)
    columns: list[str] = []
    rows = _aligned(path, unit, values, columns)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{path} is empty: it has no objects")
    return FileRows(path, columns, chain([first], rows), unit=unit)


def _aligned(
    path: Path, unit: str, values: Iterator[tuple[int, Any]], columns: list[str]
) -> Iterator[Row]:
    """Yield the values of each object in the order of `columns`, to which it adds new keys."""
    known: set[str] = set()
    for number, value in values:
        if not isinstance(value, dict):
            raise ValueError(f"{path} {unit} {number} is {shown(value)}, {_EXPECTED}")
        if not value.keys() <= known:
            columns += [key for key in value if key not in known]
            known.update(value)
        yield number, [value.get(key, ABSENT) for key in columns]


def _of_lines(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, _DECODER.decode(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path} line {number} is not JSON: {error}") from error


def _of_text(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """Yield the values of an array, or of values one after another."""
    values: list[Any] = []
    at = 0
    try:
        while found := _AFTER_SPACE.search(text, at):
            value, at = _DECODER.raw_decode(text, found.start())
            values.append(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    return enumerate(values, 1)


def shown(value: object) -> str:
    """Return the start of a value as JSON, for a message."""
    return json.dumps(value, default=str, ensure_ascii=False)[:50]
