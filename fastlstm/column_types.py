"""What columns of pandas, polars and Arrow hold, as numbers where they are some.

NumPy makes one array of a table. Beside numbers it may count what a time is made of, and numbers
of types that it does not have are objects to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.column_names import names_of

Floats = NDArray[np.floating]

# As NumPy, pandas, polars and Arrow call dates, times of day, times, spans and what is between two.
_TIMES = re.compile("date|time|duration|period", re.IGNORECASE)
_NOT_MEANT = (complex, np.complexfloating, np.datetime64, np.timedelta64, np.ndarray)
_WRITTEN = (str, bytes)  # which may tell a number


def types_of(table: Any) -> list[Any]:
    """Return the types of a table's columns, that of a column itself, or none."""
    made = type(table)  # a table of pandas has its columns, by any name, as attributes
    if hasattr(made, "dtypes") and not hasattr(made, "dtype"):
        return list(table.dtypes)
    if hasattr(made, "schema"):  # a table of Arrow, or of narwhals
        schema = table.schema
        return list(schema.types if hasattr(schema, "types") else schema.values())
    found = getattr(table, "dtype", getattr(table, "type", None))
    return [] if found is None else [found]


def has_zone(column: Any) -> bool:
    """Whether a column has times of a time zone, which an array of NumPy does not tell."""
    kinds = types_of(column)
    return any(getattr(kind, "tz", None) or getattr(kind, "time_zone", None) for kind in kinds)


def refuse_times(name: str, table: Any, instead: str = "leave them out") -> None:
    """Raise TypeError if a column has times, dates or durations, which are no numbers."""
    names = names_of(table)
    for at, kind in enumerate(types_of(table)):
        if _TIMES.match(str(kind)):
            own = names[at] if at < len(names) else ""
            where = f"in the column {own!r:.60} " if own else ""
            raise TypeError(
                f"{name} has times {where}of the type {kind}, expected numbers: {instead}"
            )


def as_array(values: Any) -> NDArray[Any]:
    """Return values as an array of NumPy, those of a table as each column has them.

    For columns of several types of Arrow pandas looks for one of Arrow's: there may be none, or one
    that does not hold them.
    """
    if hasattr(values, "iloc") and len(set(map(str, types_of(values)))) > 1:
        return np.stack([np.asarray(column) for _, column in values.items()], axis=1)
    return np.asarray(values)


def as_floats(
    name: str, values: Any, *, written: bool = False, columns: Sequence[str] | None = None
) -> Floats:
    """Return an array of numbers as one of float32 or float64, NaN where an object is missing.

    Those that are `written` are read, too. Raises TypeError, for a text ValueError, if they are no
    real numbers; `columns` are the names that it calls columns by, None for those of the values.
    """
    array = as_array(values)
    if array.dtype.kind == "O" or written and array.dtype.kind in "SU":
        names = names_of(values) if columns is None else columns
        return _of_objects(name, array.astype(object), written, names)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype} and shape {array.shape}, expected numbers")
    return array.astype(array.dtype if array.dtype in ("f4", "f8") else "f8", copy=False)


def _of_objects(
    name: str, array: NDArray[np.object_], written: bool, columns: Sequence[str]
) -> Floats:
    number = np.frompyfunc(lambda value: _number(value, written), 1, 1)
    try:
        return np.asarray(number(array), np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    for place, value in np.ndenumerate(array):
        try:
            _number(value, written)
        except (TypeError, ValueError, OverflowError) as error:
            if _is_nested(value):
                raise TypeError(
                    f"{name}{place_told(place, columns)} is a {type(value).__name__}, expected a "
                    "number: a cell holds one; put what the cells of a row hold side by side into "
                    "an array [steps, columns], and give the list of these"
                ) from error
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"{name}{place_told(place, columns)} is {value!r:.50}, expected a number: {error}"
            ) from error
    raise AssertionError("one of the values was no number")


def place_told(place: Sequence[int], columns: Sequence[str]) -> str:
    """Return where a value of an array is, by its column's name if it is in a table."""
    at = f"[{', '.join(map(str, place))}]" if len(place) else ""
    named = len(place) > 1 and place[-1] < len(columns)
    return f"{at} in the column {columns[place[-1]]!r:.60}" if named else at


def _is_nested(value: Any) -> bool:
    """Whether what a cell holds is a whole series."""
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0


def _number(value: Any, written: bool) -> float:
    if value is None or type(value).__name__ == "NAType":  # of pandas
        return np.nan
    if isinstance(value, _WRITTEN) and not written:
        raise ValueError("it is a text")
    if isinstance(value, _NOT_MEANT):
        raise TypeError(f"it is a {type(value).__name__}")
    return float(value)
