"""The functions and the operator sets of a file, and which operators it needs that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import onnx

from fastlstm.onnx import operators
from fastlstm.onnx.errors import OnnxError, shown, within
from fastlstm.onnx.functions import Function, Key
from fastlstm.onnx.graph import operator_name

MOST_DEEP = 8  # graphs inside one another
MOST_CALLS = 64  # functions that call one another


def domain_of(name: str) -> str:
    """Return a domain by the one name that it has here."""
    return "" if name == "ai.onnx" else name


def key_of(proto: Any, name: str) -> Key:
    """Return how a function, or the node that calls it, names it."""
    return domain_of(proto.domain), name, proto.overload


def told(key: Key) -> str:
    """Return a function as errors call it."""
    domain, name, overload = key
    return shown(operator_name(domain, name) + (f":{overload}" if overload else ""))


def opsets_of(proto: Any) -> dict[str, int]:
    """Return the operator sets of a model or a function."""
    opsets = {domain_of(entry.domain): entry.version for entry in proto.opset_import}
    newest = onnx.defs.onnx_opset_version()
    if opsets.get("", 1) > newest:
        raise OnnxError(
            f"operator set {opsets['']}, expected at most {newest}, the newest that the onnx "
            "package which is installed knows"
        )
    return opsets


class Library:
    """The functions of a file, each read when a node first calls it.

    Attributes
    ----------
    opsets : operator sets of the model; those of a function stand over them.
    protos : the functions.
    functions : those that were read.
    """

    def __init__(self, proto: Any) -> None:
        self.opsets = opsets_of(proto)
        self.protos: dict[Key, Any] = {}
        self.functions: dict[Key, Function] = {}
        self._inside: list[Key] = []  # those being read, each called by the one before it
        for function in proto.functions:
            key = key_of(function, function.name)
            if key in self.protos:
                raise OnnxError(f"function {told(key)} is there twice")
            self.protos[key] = function

    def opsets_in(self, key: Key) -> dict[str, int]:
        """Return the operator sets of a function."""
        with within(f"function {told(key)}"):
            return {**self.opsets, **opsets_of(self.protos[key])}

    def begin(self, key: Key) -> None:
        """Begin to read a function; OnnxError if it calls itself, or too many one another."""
        if key in self._inside:
            line = [*self._inside[self._inside.index(key) :], key]
            raise OnnxError(f"a function calls itself: {' calls '.join(map(told, line))}")
        if len(self._inside) >= MOST_CALLS:
            raise OnnxError(f"more than {MOST_CALLS} functions call one another")
        self._inside.append(key)

    def end(self, key: Key, function: Function) -> None:
        """Keep a function that was read."""
        self._inside.pop()
        self.functions[key] = function


def check_operators(library: Library, nodes: Any) -> None:
    """Raise an error that names all operators that are missing, before anything is made.

    Those of functions are among them if a node calls these.
    """
    absent: dict[str, None] = {}
    seen, left = set[Key](), [(nodes, library.opsets)]
    while left:
        nodes, opsets = left.pop()
        for node in _all_nodes(nodes, 0):
            key = key_of(node, node.op_type)
            if key not in library.protos:
                absent.update(_absent(node, opsets))
            elif key not in seen:
                seen.add(key)
                left.append((library.protos[key].node, library.opsets_in(key)))
    if absent:
        listed = ", ".join(map(shown, sorted(absent)))
        raise OnnxError(
            f"operators that are not supported: {listed}; see docs/onnx.md for those that are"
        )


def _absent(node: Any, opsets: Mapping[str, int]) -> dict[str, None]:
    """Return how errors call the operator of a node if it is not supported."""
    domain, op = domain_of(node.domain), node.op_type
    version = opsets.get(domain, 0)
    if operators.find(domain, op, version) is not None:
        return {}
    name = operator_name(domain, op)
    known = any(key == (domain, op) for key in operators.OPERATORS)
    return {f"{name} of operator set {version}" if known else name: None}


def _all_nodes(nodes: Any, depth: int) -> Iterator[Any]:
    """Yield nodes and those of the graphs inside them."""
    if depth > MOST_DEEP:
        raise OnnxError(f"more than {MOST_DEEP} graphs inside one another")
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _all_nodes(attribute.g.node, depth + 1)
