"""Writes and reads the files of a run. A written file is the old one or the new one, never half."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastlstm.text.files import replacing


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file, then rename it to `path`; errors as of `replacing`."""
    with replacing(path) as file:
        file.write(data)


def write_json(path: Path, value: object) -> None:
    """Write `value` as readable JSON, as `write_file` does."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    write_file(path, (text + "\n").encode())


@contextmanager
def reading(path: Path, told: str = "is damaged") -> Iterator[None]:
    """Raise ValueError, naming the file, if reading it inside the block or using it fails."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path} {told}: {error}") from error
