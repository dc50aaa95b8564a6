"""The files of a run: each is either the old one or the new one, never half of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastlstm.text.files import replacing


def write_file(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name, then rename it to `path`; errors as of `replacing`."""
    with replacing(path) as file:
        file.write(data)


def write_json(path: Path, value: object) -> None:
    """Write `value` as readable JSON, as `write_file` does."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    write_file(path, (text + "\n").encode())


@contextmanager
def reading(path: Path, told: str = "is damaged") -> Iterator[None]:
    """Where a file is read, and built from: what is wrong is a ValueError that names the file."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path} {told}: {error}") from error
