"""A file's bytes to the records of `graph`: everything is checked here that needs no shapes."""

from __future__ import annotations

import os
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from fastlstm.files.naming import absolute_path
from fastlstm.files.opening import open_file
from fastlstm.onnx.errors import OnnxError, one_line, within
from fastlstm.onnx.functions import Attributes, Function, Key, called, count, graph_of
from fastlstm.onnx.graph import Array, Graph, Node, Value
from fastlstm.onnx.library import (
    MOST_DEEP,
    Library,
    check_operators,
    domain_of,
    key_of,
    told,
)
from fastlstm.onnx.schema import check_schema, schema_of
from fastlstm.onnx.tensors import dtype_of, read_shape, read_tensor

MOST_BYTES = (1 << 31) - 1  # of a protobuf message
_A = onnx.AttributeProto
Scopes = tuple[Set[str], ...]  # the names known in the graphs around one


@dataclass(frozen=True)
class Model:
    """A file that was read: its graph, and who wrote it."""

    graph: Graph
    producer: str
    opsets: dict[str, int]


def read_file(path: str) -> Model:
    """Read a file; OSError if there is none, OnnxError naming it if it is no model."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise OnnxError(f"{path}: {size:,} bytes, expected at most {MOST_BYTES:,}")
        data = file.read()
    with within(path):
        return read_bytes(data, str(absolute_path(Path(path), "source").parent))


def read_bytes(data: bytes, folder: str | None = None) -> Model:
    """Read a model; `folder` is where it may have further data."""
    try:
        proto = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError, TypeError) as error:
        raise OnnxError(f"no ONNX model, or a damaged one ({one_line(error)})") from error
    if not proto.HasField("graph") or not proto.opset_import:
        raise OnnxError("no ONNX model: it has no graph, or names no operator set")
    library = Library(proto)
    check_operators(library, proto.graph.node)
    reader = _Reader(library.opsets, folder, library)
    graph = reader.graph(proto.graph, (), 0)
    if library.functions:
        count(graph)
        graph = called(graph)
    return Model(graph, proto.producer_name, reader.opsets)


@dataclass
class _Reader:
    """Reads the graph of a file, or of a function in it.

    Attributes
    ----------
    attributes : of the function; None outside of one.
    """

    opsets: dict[str, int]
    folder: str | None
    library: Library
    attributes: Attributes | None = None

    def version(self, proto: Any) -> int:
        return self.opsets.get(domain_of(proto.domain), 0)

    def function(self, key: Key) -> Function:
        """Return a function of the file; a node calls it."""
        library = self.library
        if key not in library.functions:
            library.begin(key)
            proto, opsets = library.protos[key], library.opsets_in(key)
            names = [*proto.attribute, *(one.name for one in proto.attribute_proto)]
            reader = _Reader(opsets, self.folder, library, Attributes(frozenset(names)))
            with within(f"function {told(key)}"):
                library.end(key, reader.whole(proto, key))
        return library.functions[key]

    def whole(self, proto: Any, key: Key) -> Function:
        """Read the function that this reader is of."""
        known, free = set[str](), set[str]()
        attributes = self.attributes
        assert attributes is not None
        for one in proto.attribute_proto:
            with within(f"attribute {one.name!r:.100}"):
                if one.type in (_A.GRAPH, _A.GRAPHS):
                    raise OnnxError("is a graph, expected a value")
                attributes.usual[one.name] = self.attribute(one, (), 0)
                attributes.kinds[one.name] = one.type
        for name in proto.input:
            _define(known, name, "an input")
        nodes = self.nodes(proto.node, known, (), free, 0)
        for name in proto.output:
            _use(name, known, (), free, "an output")
        graph = graph_of(proto, nodes, told(key))
        return Function(told(key), graph, attributes, count(graph))

    def graph(self, proto: Any, outer: Scopes, depth: int) -> Graph:
        """Read a graph; `outer` are the names known in the graphs around it."""
        if depth > MOST_DEEP:
            raise OnnxError(f"more than {MOST_DEEP} graphs inside one another")
        if proto.sparse_initializer:
            raise OnnxError("it has sparse constants, expected dense ones")
        constants = self.constants(proto)
        inputs = tuple(_value(v) for v in proto.input if v.name not in constants)
        known = set(constants)
        for value in inputs:
            _define(known, value.name, "an input")
        free = set[str]()
        nodes = self.nodes(proto.node, known, outer, free, depth)
        outputs = tuple(_value(v) for v in proto.output)
        for value in outputs:
            _use(value.name, known, outer, free, "an output")
        return Graph(proto.name, nodes, inputs, outputs, constants, frozenset(free))

    def nodes(
        self, protos: Any, known: set[str], outer: Scopes, free: set[str], depth: int
    ) -> tuple[Node, ...]:
        """Read nodes one after another, as `node`."""
        nodes = []
        for place, proto in enumerate(protos):
            with within(_told(proto, place)):
                nodes.append(self.node(proto, place, known, outer, free, depth))
        return tuple(nodes)

    def constants(self, proto: Any) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for tensor in proto.initializer:
            with within(f"constant {tensor.name!r:.100}"):
                if tensor.name in found:
                    raise OnnxError("is there twice")
                found[tensor.name] = read_tensor(tensor, self.folder)
        return found

    def node(
        self,
        proto: Any,
        place: int,
        known: set[str],
        outer: Scopes,
        free: set[str],
        depth: int,
    ) -> Node:
        """Read a node; the names it defines become known, those from outside are put in `free`."""
        for name in proto.input:
            if name:
                _use(name, known, outer, free, "an input")
        attributes = {}
        for attribute in proto.attribute:
            with within(f"attribute {attribute.name!r:.100}"):
                attributes[attribute.name] = self.attribute(attribute, (*outer, known), depth)
        for value in attributes.values():
            if isinstance(value, Graph):
                free |= value.free - known
        key = key_of(proto, proto.op_type)
        function = self.function(key) if key in self.library.protos else None
        domain, version = domain_of(proto.domain), self.version(proto)
        schema = None if function else schema_of(proto.op_type, version, domain)
        node = Node(
            proto.op_type,
            domain,
            proto.name,
            version,
            tuple(proto.input),
            tuple(proto.output),
            attributes,
            schema,
            place,
            function,
        )
        if schema is not None:
            check_schema(node, proto)
        if function is not None:
            kinds = {one.name: one.type for one in proto.attribute}
            function.check_call(len(node.inputs), len(node.outputs), kinds)
        for name in node.outputs:
            if name:
                _define(known, name, "an output")
        return node

    def attribute(self, proto: Any, known: Scopes, depth: int) -> Any:
        kind = proto.type
        if proto.ref_attr_name:
            if self.attributes is None:
                raise OnnxError("refers to an attribute of a function, expected a value")
            return self.attributes.refer(proto.ref_attr_name, kind)
        if kind == _A.FLOAT:
            return float(proto.f)
        if kind == _A.INT:
            return int(proto.i)
        if kind == _A.STRING:
            return _text(proto.s)
        if kind == _A.FLOATS:
            return tuple(float(v) for v in proto.floats)
        if kind == _A.INTS:
            return tuple(int(v) for v in proto.ints)
        if kind == _A.STRINGS:
            return tuple(_text(v) for v in proto.strings)
        if kind == _A.TENSOR:
            return read_tensor(proto.t, self.folder)
        if kind == _A.GRAPH:
            return self.graph(proto.g, known, depth + 1)
        raise OnnxError("is of a kind that is not supported")


def _told(proto: Any, place: int) -> str:
    return str(Node(proto.op_type, domain_of(proto.domain), proto.name, 0, (), (), {}, None, place))


def _define(known: set[str], name: str, what: str) -> None:
    if name in known:
        raise OnnxError(f"{what} is called {name!r:.100}, as is another value before it")
    known.add(name)


def _use(name: str, known: set[str], outer: Scopes, free: set[str], what: str) -> None:
    if name in known:
        return
    if not any(name in scope for scope in outer):
        raise OnnxError(f"{what} is {name!r:.100}, which nothing before it makes")
    free.add(name)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _value(proto: Any) -> Value:
    kind = proto.type.WhichOneof("value")
    if kind is None:
        return Value(proto.name, None, None)
    with within(f"value {proto.name!r:.100}"):
        if kind != "tensor_type":
            raise OnnxError(f"is a {kind.removesuffix('_type')}, expected a tensor")
        tensor = proto.type.tensor_type
        dtype = dtype_of(tensor.elem_type) if tensor.elem_type else None
        if not tensor.HasField("shape"):
            return Value(proto.name, dtype, None)
        axes = tensor.shape.dim
        read_shape([axis.dim_value for axis in axes])
        sizes = (a.dim_value if a.HasField("dim_value") else (a.dim_param or None) for a in axes)
        return Value(proto.name, dtype, tuple(sizes))
