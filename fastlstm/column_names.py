"""Tables and columns of pandas, polars and Arrow: the names of columns, their order, their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def names_of(table: Any) -> tuple[str, ...]:
    """Return the names that a table has for its columns, or a series for itself."""
    columns: Any = getattr(table, "columns", None)
    if hasattr(type(table), "column_names"):  # a table of Arrow, whose `columns` are the values
        columns = table.column_names
    if columns is None:
        name = getattr(table, "name", None)
        columns = () if name is None else (name,)
    return tuple(map(str, columns))


def check_order(
    name: str, found: Sequence[str], expected: Sequence[str], there: str = "in fit"
) -> None:
    """Raise ValueError if a column stands where `expected` has another one, by its name.

    Columns that `expected` does not name at all may be the same things under other names.
    """
    for at, (column, due) in enumerate(zip(found, expected, strict=False)):
        if column != due and column in expected:
            raise ValueError(
                f"column {at} of {name} is {column!r:.60}, which is column "
                f"{expected.index(column)} {there}: give the columns in that order"
            )


def as_rows(X: Any) -> Any:
    """Return X, a series of polars or an array of Arrow as one of NumPy."""
    is_column = len(getattr(X, "shape", (0,))) == 1 and hasattr(X, "__len__")
    if is_column and hasattr(X, "__array__") and not hasattr(X, "ndim"):
        return np.asarray(X)
    return X
