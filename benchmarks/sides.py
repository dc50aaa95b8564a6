"""The two sides of a comparison, by name; each loads its library only when it is built."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from benchmarks.problem import Array, Arrays, draw
from benchmarks.shapes import LAYER_MODES, Case

# Side X has the modules X_layer, with `setup(threads)` and `versions()`, and X_ops; both have a
# function `mode(case, arrays)` for each mode. The sides mirror each other function by function.
SIDES = ("fastlstm", "torch")


class Results(NamedTuple):
    """What a side computes: arrays by name, float32 or float64, the same names on both sides."""

    outputs: dict[str, Array]
    gradients: dict[str, Array]


class Side(NamedTuple):
    """One side of a case.

    Attributes
    ----------
    call : what is timed; its return value means nothing.
    results : runs the same once more and returns everything it computes.
    model : has state_dict and load_state_dict, or is None where there are no parameters.
    """

    call: Callable[[], object]
    results: Callable[[], Results]
    model: Any = None


def build(side: str, case: Case, threads: int, arrays: Arrays | None = None) -> Side:
    """Return one side of `case`, ready to be called.

    Parameters
    ----------
    side : one of `SIDES`.
    threads : how many it may use.
    arrays : what it computes with; by default the case's own.

    Raises
    ------
    ValueError
        If there is no such side.
    """
    library = load(side, threads)
    module = library if case.mode in LAYER_MODES else import_module(f"benchmarks.{side}_ops")
    side_of: Callable[[Case, Arrays], Side] = getattr(module, case.mode)
    return side_of(case, draw(case) if arrays is None else arrays)


def load(side: str, threads: int) -> Any:
    """Return a side's module after telling its library how many threads to use."""
    if side not in SIDES:
        raise ValueError(f"side is {side!r}, expected one of {', '.join(SIDES)}")
    library: Any = import_module(f"benchmarks.{side}_layer")
    library.setup(threads)
    return library


def dropout_facts(a: Arrays, y: Array, dx: Array) -> Results:
    """Return what every right dropout by half shows of x, y, dy and dx, whatever it drew."""
    kept, factor = y != 0, y / a["x"]
    far = abs(kept.mean() - 0.5) > 5 / np.sqrt(kept.size)  # ten standard deviations
    return Results(
        {"share kept": np.array([kept.mean() if far else 0.5]), "y / x": np.unique(factor)},
        {"dx": dx - a["dy"] * factor, "dx / dy": np.unique(dx / a["dy"])},
    )
