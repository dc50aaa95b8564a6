"""The file's own functions: read once, and made anew with the attributes of each node that calls.

Such a node has the function's graph as its `body`, which a plan puts in its place. The nodes in it
are new ones for each call: plans keep what they make of constants by node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import onnx

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Graph, Node, Value
from fastlstm.onnx.schema import check_required

Key = tuple[str, str, str]  # domain, name and overload

MOST_NODES = 1 << 16  # that the calls of a file may become in all
_A = onnx.AttributeProto


class Reference(NamedTuple):
    """An attribute of a node in a function: the one of this name of the node that calls it."""

    name: str
    kind: int


@dataclass
class Attributes:
    """Those of a function.

    Attributes
    ----------
    names : all of them.
    usual : values of those that a call may leave out.
    kinds : what the nodes inside take each for.
    """

    names: frozenset[str]
    usual: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)

    def refer(self, name: str, kind: int) -> Reference:
        """Return a reference to one; OnnxError if there is none, or of another kind."""
        if name not in self.names:
            raise OnnxError(
                f"refers to {name!r:.100}, expected an attribute of the function: "
                f"{', '.join(sorted(self.names)) or 'it has none'}"
            )
        self._check(name, kind)
        self.kinds[name] = kind
        return Reference(name, kind)

    def check(self, given: Mapping[str, int]) -> None:
        """Raise OnnxError unless a call may give attributes of these kinds."""
        for name, kind in given.items():
            if name not in self.names:
                listed = ", ".join(sorted(self.names)) or "none"
                raise OnnxError(f"attribute {name!r:.100}, expected one of: {listed}")
            if kind in (_A.GRAPH, _A.GRAPHS):
                raise OnnxError(f"attribute {name!r:.100} is a graph, which no function takes here")
            self._check(name, kind)

    def _check(self, name: str, kind: int) -> None:
        before = self.kinds.get(name, kind)
        if before != kind:
            raise OnnxError(
                f"attribute {name!r:.100} is of kind {_kind(kind)}, expected {_kind(before)}"
            )


def _kind(number: int) -> str:
    names: dict[int, str] = {value: name for name, value in _A.AttributeType.items()}
    return names.get(number, "?")


@dataclass(frozen=True, eq=False)
class Function:
    """A function as the file has it: in its nodes stand references, and functions that they call.

    Attributes
    ----------
    size : how many nodes a call becomes, the calls among them counted.
    """

    name: str
    graph: Graph
    attributes: Attributes
    size: int

    def check_call(self, inputs: int, outputs: int, kinds: Mapping[str, int]) -> None:
        """Raise OnnxError unless a node may call it."""
        for what, given, most in (
            ("inputs", inputs, len(self.graph.inputs)),
            ("outputs", outputs, len(self.graph.outputs)),
        ):
            if given > most:
                raise OnnxError(f"{given} {what}, expected at most {most}")
        self.attributes.check(kinds)

    def body(self, given: Mapping[str, Any]) -> Graph:
        """Return the graph of a call with these attributes."""
        return _with(self.graph, {**self.attributes.usual, **given})


def count(graph: Graph) -> int:
    """Return how many nodes a graph becomes; OnnxError if they are too many."""
    total = 0
    for node in graph.nodes:
        total += 1  # a call too: of functions without nodes there may be ever so many
        total += node.body.size if isinstance(node.body, Function) else 0
        total += sum(count(v) for v in node.attributes.values() if isinstance(v, Graph))
        if total > MOST_NODES:
            raise OnnxError(f"the calls of functions become more than {MOST_NODES:,} nodes")
    return total


def called(graph: Graph) -> Graph:
    """Return the graph of a file with the functions that its nodes call put into them."""
    return _with(graph, {})


def _with(graph: Graph, given: Mapping[str, Any]) -> Graph:
    return replace(graph, nodes=tuple(_node_with(node, given) for node in graph.nodes))


def _node_with(node: Node, given: Mapping[str, Any]) -> Node:
    attributes = {}
    for name, value in node.attributes.items():
        if isinstance(value, Reference):
            if value.name not in given:
                continue  # what the call leaves out the node is without
            value = given[value.name]
        elif isinstance(value, Graph):
            value = _with(value, given)
        attributes[name] = value
    if node.schema is not None and node.body is None:
        try:
            check_required(node.schema, attributes)
        except OnnxError as error:
            raise OnnxError(f"{node} inside: {error}") from error
    body = node.body.body(attributes) if isinstance(node.body, Function) else None
    return replace(node, attributes=attributes, body=body)


def graph_of(proto: Any, nodes: tuple[Node, ...], name: str) -> Graph:
    """Return the graph of a function; its values tell neither dtype nor shape."""
    inputs, outputs = (
        tuple(Value(one, None, None) for one in names) for names in (proto.input, proto.output)
    )
    return Graph(name, nodes, inputs, outputs)
