"""Names in one option, joined by commas as in a row of a table: one that has a comma is quoted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable


def split_names(text: str) -> list[str]:
    """Return the names of a text; ValueError if it is no such row, or a name is empty."""
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error:
        rows = []
    names = [name.strip() for row in rows for name in row]
    if not names or not all(names):
        raise ValueError(
            f"{text!r}, expected names joined by commas; one that has a comma stands in double "
            "quotes"
        )
    return names


def join_names(names: Iterable[object]) -> str:
    """Invert `split_names`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()
