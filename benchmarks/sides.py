"""The sides of a comparison, by name; each loads its library only when it is built."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from benchmarks.problem import Array, Arrays, draw
from benchmarks.shapes import LAYER_MODES, Case

# Side X has the modules X_layer, with `setup(threads)` and `versions()`, and X_ops; both have a
# function `mode(case, arrays)` for each mode. The sides mirror each other function by function.
# One that lacks modes has no X_ops and `why_not(case)` in X_layer, the reason or nothing.
PEERS = {"torch": "torch", "onnxruntime": "ONNX Runtime"}  # what fastlstm is compared with -> title
SIDES = ("fastlstm", *PEERS)


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
    model : has state_dict and load_state_dict, or is None where there are no parameters or the
        library has no such thing.
    """

    call: Callable[[], object]
    results: Callable[[], Results]
    model: Any = None


def learning(run: Callable[[], object], model: Any) -> Callable[[], None]:
    """Return what is timed of a training step: forward, backward and the gradients' end."""

    def call() -> None:
        run()
        model.zero_grad()

    return call


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
        If there is no such side, or it cannot run the case.
    """
    library = load(side, threads)
    if reason := why_not(side, case):
        raise ValueError(f"{case}: {reason}")
    module = library if case.mode in LAYER_MODES else import_module(f"benchmarks.{side}_ops")
    side_of: Callable[[Case, Arrays], Side] = getattr(module, case.mode)
    return side_of(case, draw(case) if arrays is None else arrays)


def load(side: str, threads: int) -> Any:
    """Return a side's module after telling its library how many threads to use."""
    library = _import(side)
    library.setup(threads)
    return library


def why_not(side: str, case: Case) -> str:
    """Return why a side cannot run `case`; nothing if it can."""
    reason_of: Callable[[Case], str] | None = getattr(_import(side), "why_not", None)
    return reason_of(case) if reason_of else ""


def _import(side: str) -> Any:
    if side not in SIDES:
        raise ValueError(f"side is {side!r}, expected one of {', '.join(SIDES)}")
    return import_module(f"benchmarks.{side}_layer")


def dropout_facts(a: Arrays, y: Array, dx: Array) -> Results:
    """Return what every right dropout by half shows of x, y, dy and dx, whatever it drew."""
    kept, factor = y != 0, y / a["x"]
    far = abs(kept.mean() - 0.5) > 5 / np.sqrt(kept.size)  # ten standard deviations
    return Results(
        {"share kept": np.array([kept.mean() if far else 0.5]), "y / x": np.unique(factor)},
        {"dx": dx - a["dy"] * factor, "dx / dy": np.unique(dx / a["dy"])},
    )
