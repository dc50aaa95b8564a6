"""The operators that run, a family to a file.

`operator` registers a function for an operator and the versions of its operator set that it is
right for. It is called once for each node when a plan is made: with the planner, the node and its
inputs (None for one that is left out), and returns the outputs after adding steps to the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from fastlstm.onnx.graph import Graph, Node

if TYPE_CHECKING:
    from fastlstm.onnx.plan import Planner
    from fastlstm.onnx.values import Ref

Lower = Callable[["Planner", Node, Sequence["Ref | None"]], Sequence["Ref"]]

NUMPY, KERNELS = "NumPy", "native"
NEWEST = 1 << 30
FAMILIES = (
    "control",
    "convolution",
    "dynamic_lstm",
    "elementwise",
    "index",
    "maps",
    "matrix",
    "normalise",
    "pad",
    "pool",
    "quantized",
    "recurrent",
    "reduce",
    "shape",
    "transposed",
)


class Operator(NamedTuple):
    """An operator in a range of versions."""

    lower: Lower
    first: int
    last: int
    runs: Callable[[Node, Graph], str]  # where a node runs


OPERATORS: dict[tuple[str, str], list[Operator]] = {}


def operator(
    *names: str,
    since: int = 1,
    until: int = NEWEST,
    domain: str = "",
    runs: Callable[[Node, Graph], str] = lambda node, graph: NUMPY,
) -> Callable[[Lower], Lower]:
    """Register a function for operators of a domain, in versions `since` to `until`."""

    def register(lower: Lower) -> Lower:
        for name in names:
            OPERATORS.setdefault((domain, name), []).append(Operator(lower, since, until, runs))
        return lower

    return register


@cache
def _load() -> None:
    """Have each family register its operators: they need the planner, which needs these tables."""
    for family in FAMILIES:
        import_module(f"{__name__}.{family}")


def find(domain: str, name: str, version: int) -> Operator | None:
    """Return an operator in a version, None if it is not supported."""
    _load()
    rows = OPERATORS.get((domain, name), ())
    return next((row for row in rows if row.first <= version <= row.last), None)


def runs_on(node: Node, graph: Graph) -> str:
    """Return where a node runs: on the kernels, or in NumPy."""
    found = find(node.domain, node.op, node.version)
    return NUMPY if found is None else found.runs(node, graph)
