"""Plain records read back from JSON: every field is there and of its type."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

LARGEST = 2**63 - 1  # of a whole number


def record(kind: type[Record], value: object) -> Record:
    """Return a dataclass of numbers, texts and None from the JSON object that `asdict` gave.

    Raises
    ------
    ValueError
        If it is no object, a name is missing or unknown, or a value is not of the field's type;
        whole numbers are those from 0 to 2**63 - 1.
    """
    checked = fields_of(kind, value)
    return kind(**checked)


def fields_of(kind: type[Any], value: object, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields as `record` checks them; those of `skip` must only be there."""
    what = kind.__name__
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} is {value!r:.60}, expected an object")
    own = {item.name: item for item in fields(kind)}
    optional = {
        name for name, item in own.items()
        if item.default is not MISSING or item.default_factory is not MISSING
    } - set(skip)  # fmt: skip
    wrong = (own.keys() ^ value.keys()) - (optional - value.keys())
    if wrong:
        raise ValueError(f"{what} has names missing or unknown: {sorted(map(str, wrong))}")
    hints = get_type_hints(kind)
    for name in value.keys() - set(skip):
        if not _fits(value[name], hints[name]):
            raise ValueError(f"{name} is {value[name]!r:.60}, expected {_spelled(hints[name])}")
    return dict(value)


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number that can be shown and reckoned with."""
    return _fits(value, float)


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if get_origin(hint) in (list, tuple):
        parts = [part for part in get_args(hint) if part is not Ellipsis]
        if not isinstance(value, (list, tuple)):
            return False
        if get_origin(hint) is tuple and len(parts) == len(get_args(hint)):
            return len(value) == len(parts) and all(map(_fits, value, parts))
        return all(_fits(item, parts[0]) for item in value)
    if hint is float:
        return (type(value) is float and math.isfinite(value)) or (
            type(value) is int and abs(value) <= LARGEST
        )
    if hint is int:
        return type(value) is int and 0 <= value <= LARGEST
    return type(value) is hint


def _spelled(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
