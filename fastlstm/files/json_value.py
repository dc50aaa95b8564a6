"""Strict JSON for our own files, which anybody may have changed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from fastlstm.counts import count_of
from fastlstm.files.opening import AnyPath, open_file

MOST_DIGITS = 4300  # of a whole number, as Python's own limit: more take long to read
MOST = 1 << 28  # bytes of a JSON file; a vocabulary of a million words has 16 MB


def read_json(path: AnyPath) -> Any:
    """Return the value in a JSON file, see `parse_json`; ValueError also if it is too large."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size  # to ask for no more memory than it takes
        raw = file.read(min(size, MOST) + 1)
    if len(raw) > MOST:
        raise ValueError(f"it has more than {MOST:,} bytes")
    return parse_json(raw)


def parse_json(raw: bytes | str) -> Any:
    """Return the value of JSON text, before which editors may have put the mark of UTF-8.

    Raises ValueError if it is no JSON in UTF-8, nested very deeply, has a name twice in one object,
    or holds a number that is not finite.
    """
    text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
    try:
        return json.loads(
            text, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite,
            parse_int=whole,
        )  # fmt: skip
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error})") from error
    except RecursionError:
        raise ValueError("not of ours: nested too deeply") from None


def whole(text: str) -> int:
    """Return a whole number of JSON; ValueError if it has too many digits."""
    if len(text) > MOST_DIGITS:
        raise ValueError(
            f"a number has {count_of(len(text), 'digit')}, expected at most {MOST_DIGITS:,}"
        )
    return int(text)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it names {twice!r} twice")
    return found


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.30} is too large a number")
    return value
