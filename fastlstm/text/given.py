"""Texts as a caller gives them: any iterable with an order, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from fastlstm.column_names import as_rows


def listed(texts: Any) -> list[str]:
    """Return texts as a list; TypeError if they are none, have no order, or are a table.

    A string would be read as its letters, a table or a mapping as its names.
    """
    rows = as_rows(texts)
    no_list = isinstance(rows, (str, bytes, Mapping, Set)) or not isinstance(rows, Iterable)
    if no_list or len(getattr(rows, "shape", (0,))) != 1:
        raise TypeError(
            f"texts is a {type(texts).__name__}, expected a list of strings, or a column or an "
            "iterator of them"
        )
    found = list(rows)
    wrong = next((n for n, text in enumerate(found) if not isinstance(text, str)), None)
    if wrong is not None:
        raise TypeError(f"texts[{wrong}] is {found[wrong]!r:.60}, expected a list of strings")
    return found
