"""What every numbered list of tokens does: stand in a JSON file, and refuse numbers it lacks."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .files import replacing
from .json_value import read_json


def write_tokens(path: str | os.PathLike[str], document: dict[str, Any]) -> None:
    """Write as JSON; an earlier file stays intact until the new one is complete."""
    with replacing(path) as file:
        file.write(json.dumps(document, ensure_ascii=False).encode("utf-8"))


def read_document(path: str | os.PathLike[str], form: str, name: str) -> dict[str, Any]:
    """Read what `write_tokens` wrote.

    Parameters
    ----------
    path : the file.
    form : what its "format" must be.
    name : what the message calls such a file.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is damaged, or not such a file.
    """
    try:
        document = read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(document, dict) or document.get("format") != form:
        raise ValueError(f"{path} is not {name}")
    return document


def tokens_in(path: str | os.PathLike[str], document: dict[str, Any], key: str) -> list[str]:
    """Return the list of strings that stands under `key`; ValueError if there is none."""
    tokens = document.get(key)
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ValueError(f"{path} is damaged: no list of {key}")
    return tokens


def known_ids(ids: ArrayLike, count: int) -> list[int]:
    """Return ids one after another; IndexError for one that is not 0..count-1."""
    array = np.asarray(ids).ravel()
    bad = array[(array < 0) | (array >= count)]
    if bad.size:
        raise IndexError(f"ids has {bad[0]}, expected 0 to {count - 1}")
    found: list[int] = array.tolist()
    return found
