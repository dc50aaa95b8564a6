"""Dataclasses from JSON: every value must be there and of its type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

LARGEST = 2**63 - 1  # whole number allowed
ADDED = {"added": True}  # metadata of a field that earlier versions did not have


def record(kind: type[Record], value: object) -> Record:
    """Return a dataclass from the JSON object that `asdict` gave.

    Whole numbers must be from 0 to 2**63 - 1. Raises ValueError if `value` is no object, a name is
    missing or unknown, or a value is not of the field's type.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{kind.__name__} is {value!r:.60}, expected an object")
    items: Any = fields(kind)  # type: ignore[arg-type]
    needed = {item.name for item in items if "added" not in item.metadata}
    wrong = (needed - value.keys()) | (value.keys() - {item.name for item in items})
    if wrong:
        raise ValueError(f"{kind.__name__} has names missing or unknown: {sorted(map(str, wrong))}")
    hints = get_type_hints(kind)
    return kind(**{name: typed(hints[name], part, name) for name, part in value.items()})


def typed(hint: Any, value: Any, name: str) -> Any:
    """Return a JSON value as the type `hint`; raise ValueError, which tells `name`, if it is not.

    A hint is a dataclass, a plain type, a list, tuple or dict of such, or any of these ``| None``.
    """
    origin, parts = get_origin(hint), get_args(hint)
    if type(None) in parts:
        return None if value is None else typed(parts[0], value, name)
    if is_dataclass(hint):
        return record(hint, value)  # type: ignore[arg-type]
    if origin is list and isinstance(value, list):
        return [typed(parts[0], part, name) for part in value]
    if origin is dict and isinstance(value, dict):
        return {key: typed(parts[1], part, name) for key, part in value.items()}
    if origin is tuple and isinstance(value, (list, tuple)) and len(value) == len(parts):
        return tuple(typed(*pair, name) for pair in zip(parts, value, strict=True))
    if origin is None and _is_plain(hint, value):
        return value
    raise ValueError(f"{name} is {value!r:.60}, expected {hint if origin else hint.__name__}")


def _is_plain(hint: type, value: object) -> bool:
    if hint is float and type(value) is float:
        return math.isfinite(value)
    if hint in (int, float) and type(value) is int:
        return (0 if hint is int else -LARGEST) <= value <= LARGEST
    return type(value) is hint
