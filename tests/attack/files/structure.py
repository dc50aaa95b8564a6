"""Damage of structure: values of JSON swapped for others, with everything around them right."""

from __future__ import annotations

import copy
from typing import Any

from attack.fuzz.draw import Rng, pick

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 17, 2**31, 2**63, -(2**63), 2**64, 10**30, 10**400, 1.5,
    -0.0, 1e308, float("inf"), float("nan"), "", "a", "0", "lstm", "\0", "../../x", "\ud800", [],
    [0],     [[]], {}, {"a": 1}, ["a"] * 3, "A" * 3000, [[1, 2], [3]],
)  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where all values of a JSON value are."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, part in value.items():
            found += _places(part, (*path, key))
    elif isinstance(value, list):
        for k, part in enumerate(value[:30]):
            found += _places(part, (*path, k))
    return found


def _get(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def nested(depth: int, inner: Any = 0) -> Any:
    for _ in range(depth):
        inner = [inner]
    return inner


def changed(rng: Rng, value: Any) -> Any:
    """A JSON value with one of its parts replaced, removed, added, renamed or nested."""
    value = copy.deepcopy(value)
    places = _places(value)
    if not places or int(rng.integers(30)) == 0:
        return pick(rng, STRANGE)
    path = places[int(rng.integers(len(places)))]
    holder, key = _get(value, path[:-1]), path[-1]
    how = int(rng.integers(7))
    if how == 0:
        del holder[key]
    elif how == 1:
        holder[key] = copy.deepcopy(_get(value, places[int(rng.integers(len(places)))]))
    elif how == 2 and isinstance(holder, dict):
        holder[pick(rng, ("", "x", f"{key}2", f" {key}", str(key).upper()))] = holder.pop(key)
    elif how == 3 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
        holder[key] = pick(
            rng, (holder[key] + 1, -holder[key], holder[key] * 2**40, str(holder[key]))
        )
    elif how == 4:
        holder[key] = nested(pick(rng, (1, 5, 900)), holder[key])
    else:
        holder[key] = pick(rng, STRANGE)
    return value
