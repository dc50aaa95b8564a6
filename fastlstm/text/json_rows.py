"""Rows that are JSON objects: one on each line, or in an array."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import chain
from pathlib import Path
from typing import Any

from fastlstm.files.json_value import whole
from fastlstm.text.json_text import JsonText
from fastlstm.text.lines import cut_lines
from fastlstm.text.rows import ABSENT, FileRows, Row


def _exact(text: str) -> Decimal:
    """Return a number with a fraction or an exponent; ValueError if Decimal cannot hold it."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"a number is {text:.40}, expected an exponent within reason") from None


# Numbers exactly: labels are compared by value.
_DECODER = json.JSONDecoder(parse_float=_exact, parse_int=whole)
_EXPECTED = "expected a JSON object on each line, or an array of objects"


def json_rows(path: Path, pieces: Iterator[str]) -> FileRows:
    """Return the objects of a file, which are read as the rows are asked for.

    `pieces` are its text, cut anywhere. Raises ValueError, also from the rows, if the file is empty
    or holds no JSON objects.
    """
    text = JsonText(pieces, _DECODER)
    start = text.start()
    spread = start == "{" or start.startswith("[")  # over many lines
    unit = "object" if spread else "line"
    values = _of_text(path, text) if spread else _of_lines(path, cut_lines(text.rest()))
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


def _of_text(path: Path, text: JsonText) -> Iterator[tuple[int, Any]]:
    """Yield the values of an array, or of values one after another."""
    try:
        yield from enumerate(_items(text) if text.take("[") else _values(text), 1)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def _values(text: JsonText) -> Iterator[Any]:
    while text.peek():
        yield text.value()


def _items(text: JsonText) -> Iterator[Any]:
    """Yield the items of the array that has begun, which is to be all there is."""
    ended = text.take("]")
    while not ended:
        yield text.value()
        ended = text.take("]")
        if not ended and not text.take(","):
            raise ValueError(text.told("Expecting ',' delimiter"))
    if text.peek():
        raise ValueError(text.told("Extra data"))


def shown(value: object) -> str:
    """Return the start of a value as JSON, for a message."""
    return json.dumps(value, default=str, ensure_ascii=False)[:50]
