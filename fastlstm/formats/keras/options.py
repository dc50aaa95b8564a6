"""Options of Keras's layers as files have them, each checked where it is read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.formats.keras.stored import Stored

Options = dict[str, Any]
OLD = "fastlstm: old"  # among them: whether Keras 1 or 2 wrote the file, as `modules_of`


class Refused(ValueError):
    """A layer that cannot be run here, and why."""


def activation_name(value: Any) -> str:
    """Return the name of an activation; Refused if it is a function of the user's."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    if not isinstance(value, str):
        raise Refused(f"its activation is {value!r:.60}, expected a name")
    return {"swish": "silu"}.get(value, value)


def usual_only(options: Options, **usual: Any) -> None:
    """Raise Refused if an option is another than the one that is known."""
    for name, value in usual.items():
        if options.get(name, value) not in (value, [value]):
            raise Refused(f"its {name} is {options[name]!r:.60}, expected {value!r}")


def flag(options: Options, name: str, usual: bool = False) -> bool:
    value = options.get(name, usual)
    if not isinstance(value, bool):
        raise ValueError(f"its {name} is {value!r:.60}, expected true or false")
    return value


def whole_number(options: Options, name: str, usual: int = 1) -> int:
    """Return an option that is a whole number, perhaps alone in a list."""
    value = options.get(name, usual)
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if type(value) is not int:
        raise ValueError(f"its {name} is {value!r:.60}, expected a whole number")
    return value


def arrays_of(stored: Stored, *axes: int) -> list[NDArray[Any]]:
    """Return the arrays of a layer after checking how many axes each has."""
    found = [array.ndim for array in stored.arrays]
    if found != list(axes) or stored.second or not all(a.size for a in stored.arrays):
        shapes = [array.shape for array in stored.arrays]
        raise ValueError(f"its arrays have shapes {shapes}, expected {list(axes)} axes")
    return stored.arrays


def dtype_of(arrays: list[NDArray[Any]]) -> Any:
    return np.result_type(np.float32, *arrays)


def object_of(options: Options, name: str) -> Options:
    value = options.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"its {name} is {value!r:.60}, expected an object")
    return value


def number(options: Options, *names: str, usual: float) -> float:
    value = next((options[name] for name in names if name in options), usual)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"its {names[0]} is {value!r:.60}, expected a number")
    return float(value)
