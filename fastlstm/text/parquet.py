"""Rows of Parquet files, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastlstm.files.opening import open_file
from fastlstm.text.rows import FileRows, Row

_ROWS = 4096  # read at a time
_NO_VALUE = (OverflowError, ValueError, KeyError)  # of a time that Python cannot tell


def parquet_rows(path: Path) -> FileRows:
    """Return the rows of a file, which are read as they are asked for.

    Raises ImportError without pyarrow, and ValueError, also from the rows, for a damaged file.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ImportError(
            f'{path} needs pyarrow to be read: pip install "fastlstm[parquet]", or save it as CSV'
        ) from error
    file = open_file(path)
    try:
        table = parquet.ParquetFile(file)
    except (ArrowException, OSError, ValueError) as error:
        file.close()
        raise ValueError(f"{path} is damaged or no Parquet file: {error}") from error
    return FileRows(path, list(table.schema_arrow.names), _read(path, file, table), unit="row")


def _read(path: Path, file: BinaryIO, table: Any) -> Iterator[Row]:
    from pyarrow import ArrowException

    number = 0
    with file, table:
        try:
            for batch in table.iter_batches(_ROWS):
                for values in zip(*map(values_of, batch.columns), strict=True):
                    number += 1
                    yield number, [*values]
        except (ArrowException, OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is damaged after row {number}: {error}") from error


def values_of(column: Any) -> list[Any]:
    """Return a column's values, as text those that Python has no value for, also inside others.

    These are times before the year 1 or after 9999, of parts of a microsecond where there is no
    pandas, or of zones that are not known here: the text of these is in UTC.
    """
    try:
        found: list[Any] = column.to_pylist()
    except _NO_VALUE:
        return [_value(one) for one in column]
    return found


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except _NO_VALUE:
        pass
    parts = getattr(scalar, "values", None)
    if parts is None:
        return _text(scalar)
    if callable(parts):  # of a struct, which is a mapping
        return {name: _value(part) for name, part in scalar.items()}
    found = values_of(parts)
    is_map = hasattr(scalar.type, "key_type")
    return [tuple(pair.values()) for pair in found] if is_map else found


def _text(scalar: Any) -> Any:
    kind = scalar.type
    if getattr(kind, "tz", None):  # which Arrow may not know, either
        from pyarrow import timestamp

        scalar = scalar.cast(timestamp(kind.unit, "UTC"))
    return scalar.cast("string").as_py()
