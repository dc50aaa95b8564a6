"""Which recurrent layers and cells there are: asked of their classes, for all kinds of files."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from typing import Any

from fastlstm import nn
from fastlstm.kernels import CELLS, CellSpec
from fastlstm.nn.cell import RecurrentCell
from fastlstm.nn.recurrent import FIXED, Recurrent

# Options that choose the kernel's cell, and what files may say of them.
CHOICES: dict[str, tuple[Any, ...]] = {
    "reset_after": (True, False),
    "nonlinearity": ("tanh", "relu"),
}


def _public(base: type) -> list[Any]:
    found = [getattr(nn, name) for name in nn.__all__]
    kinds = [kind for kind in found if isinstance(kind, type) and issubclass(kind, base)]
    return sorted(kinds, key=lambda kind: not kind.__name__.startswith("LSTM"))  # for messages


LAYERS, SINGLE_STEPS = _public(Recurrent), _public(RecurrentCell)


def taken(kind: Any, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of some options that a class takes."""
    signature = inspect.signature(kind).parameters
    return tuple(name for name in names if name in signature)


def fixed_options(kind: Any) -> tuple[str, ...]:
    """Return the options that the parameters of a class are made for."""
    return taken(kind, FIXED)


@cache
def made_of() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the class and the options that make a layer of each of the kernel's cells."""
    found = {}
    for make in LAYERS:
        names = taken(make, CHOICES)
        for values in product(*(CHOICES[name] for name in names)):
            options = dict(zip(names, values, strict=True))
            found[make(1, 1, **options)._cell.name] = make.__name__, options
    return {cell: found[cell] for cell in CELLS if cell in found}


def cell_of(name: str, options: Mapping[str, Any]) -> CellSpec:
    """Return the cell of the class `name` with options, by its gates and states.

    Activations do not matter to those.
    """
    of_class = [
        (cell, chosen)
        for cell, (made, chosen) in made_of().items()
        if made == name.removesuffix("Cell")
    ]
    for cell, chosen in of_class:
        if all(options[key] == value for key, value in chosen.items()):
            return CELLS[cell]
    return CELLS[of_class[0][0]]
