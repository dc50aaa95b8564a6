"""What is read of a file: nodes and graphs, never changed after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.onnx.errors import OnnxError, shown

Array = NDArray[Any]

MICROSOFT = "com.microsoft"


class Value(NamedTuple):
    """An input or output of a graph: an axis whose size is not fixed has a name, or None."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        known = [shown("?" if s is None else s) for s in self.shape or ()]
        sizes = "..." if self.shape is None else ", ".join(known)
        return f"{shown(self.name)}: {self.dtype or 'any dtype'} [{sizes}]"


@dataclass(frozen=True, eq=False)
class Node:
    """One node.

    Attributes
    ----------
    op, domain : the operator; the standard domain is "".
    version : of the domain's operator set that the file asks for.
    inputs, outputs : names; "" for one that is left out.
    attributes : numbers, texts, arrays, lists of these, and graphs.
    schema : the operator's row in the tables of the `onnx` package, None if it has none.
    place : its number in the graph.
    body : of a node that calls a function of the file, the function's graph.
    """

    op: str
    domain: str
    name: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    schema: Any = None
    place: int = 0
    body: Any = None

    def __str__(self) -> str:
        own = f"node '{shown(self.name)}'" if self.name else f"node {self.place}"
        return f"{own} ({operator_name(self.domain, self.op)})"

    def integer(self, name: str, default: int | None = None) -> int:
        """Return an integer attribute; OnnxError if it is missing and has no default."""
        value = self.attributes.get(name, default)
        if type(value) is not int:
            raise OnnxError(f"attribute {name} is {_told(value)}, expected an integer")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number likewise."""
        value = self.attributes.get(name, default)
        if not isinstance(value, (int, float)):
            raise OnnxError(f"attribute {name} is {_told(value)}, expected a number")
        return float(value)

    def text(self, name: str, default: str, valid: tuple[str, ...]) -> str:
        """Return a text that is one of the `valid` ones."""
        value = self.attributes.get(name, default)
        if value not in valid:
            raise OnnxError(
                f"attribute {name} is {_told(value)}, expected one of {', '.join(valid)}"
            )
        return str(value)

    def integers(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Return a list of integers likewise."""
        return self._list(name, default, int, "integers")

    def optional_integers(self, name: str) -> tuple[int, ...] | None:
        """Return a list of integers, None if it is not there."""
        return self.integers(name) if name in self.attributes else None

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of numbers, empty if it is not there."""
        return self._list(name, (), float, "numbers")

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, empty if it is not there."""
        return self._list(name, (), str, "texts")

    def graph(self, name: str) -> Graph:
        """Return a graph."""
        value = self.attributes.get(name)
        if not isinstance(value, Graph):
            raise OnnxError(f"attribute {name} is {_told(value)}, expected a graph")
        return value

    def _list(self, name: str, default: Any, kind: type, what: str) -> tuple[Any, ...]:
        value = self.attributes.get(name, default)
        if not isinstance(value, tuple) or not all(isinstance(part, kind) for part in value):
            raise OnnxError(f"attribute {name} is {_told(value)}, expected {what}")
        return value


def _told(value: object) -> str:
    return "missing" if value is None else f"{value!r:.60}"


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph, or the body of a node.

    Attributes
    ----------
    inputs : those that a caller gives; what has a value in the file is among `constants`.
    constants : names and arrays, which are read-only.
    free : names that come from the graphs around it.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    constants: Mapping[str, Array] = field(default_factory=dict)
    free: frozenset[str] = frozenset()


def operator_name(domain: str, op: str) -> str:
    """Return an operator as errors call it."""
    return f"{domain}.{op}" if domain else op
