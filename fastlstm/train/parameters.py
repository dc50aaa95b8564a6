"""The parameters an optimizer or a checkpoint works on, each with a name for messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from fastlstm.nn.module import Array, Module
from fastlstm.nn.parameter import Parameter

NamedParameter = tuple[str, Parameter]
Parameters: TypeAlias = Module | Iterable[Parameter] | Iterable[NamedParameter]

# Elements of a parameter that are updated at a time: those of all arrays of a step, and what NumPy
# puts between two operations, stay in a core's own cache. In one go each operation reads and writes
# the whole memory of a large parameter.
BLOCK = 1 << 15


def row_blocks(array: Array) -> Iterator[Any]:
    """Yield an index for each few rows of an array, of about `BLOCK` elements."""
    if array.size <= BLOCK:
        yield ...
        return
    rows = max(1, BLOCK * len(array) // array.size)
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)


def trainable_parameters(parameters: Parameters) -> list[NamedParameter]:
    """Return those of `named_parameters` that are learned; ValueError if there are none."""
    pairs = [(name, one) for name, one in named_parameters(parameters) if one.trainable]
    if not pairs:
        raise ValueError("parameters has none that is trainable: there is nothing to train")
    return pairs


def named_parameters(parameters: Parameters) -> list[NamedParameter]:
    """Return ``(name, parameter)`` pairs of a module, of such pairs, or of bare parameters.

    A bare parameter is named by its position: "0", "1", ... Raises TypeError if there is no module
    and nothing iterable, or an element is not a `Parameter`; ValueError if there is none, or one
    occurs twice.
    """
    try:
        items = list(
            parameters.named_parameters() if isinstance(parameters, Module) else parameters
        )
    except TypeError:
        raise TypeError(
            f"parameters is a {type(parameters).__name__}, expected a Module or Parameters"
        ) from None
    pairs: list[NamedParameter] = []
    for position, item in enumerate(items):
        name, parameter = item if isinstance(item, tuple) else (str(position), item)
        if not isinstance(parameter, Parameter):
            raise TypeError(
                f"parameters: {name} is a {type(parameter).__name__}, expected a Parameter"
            )
        pairs.append((name, parameter))
    if not pairs:
        raise ValueError("parameters is empty: there is nothing to train")
    names, objects = {name for name, _ in pairs}, {id(parameter) for _, parameter in pairs}
    if len(names) < len(pairs) or len(objects) < len(pairs):
        raise ValueError(f"parameters holds a parameter or a name twice: {[n for n, _ in pairs]}")
    return pairs
