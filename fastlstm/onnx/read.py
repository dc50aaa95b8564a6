"""A file's bytes to the records of `graph`: everything is checked here that needs no shapes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from fastlstm.onnx import operators
from fastlstm.onnx.errors import OnnxError, one_line, shown, within
from fastlstm.onnx.graph import Array, Graph, Node, Value, operator_name
from fastlstm.onnx.tensors import dtype_of, read_shape, read_tensor
from fastlstm.text.opening import open_file

MOST_DEEP = 8  # graphs inside one another
MOST_BYTES = (1 << 31) - 1  # of a protobuf message
_A = onnx.AttributeProto


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
        return read_bytes(data, os.path.dirname(os.path.abspath(path)))


def read_bytes(data: bytes, folder: str | None = None) -> Model:
    """Read a model; `folder` is where it may have further data."""
    try:
        proto = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError, TypeError) as error:
        raise OnnxError(f"no ONNX model, or a damaged one ({one_line(error)})") from error
    if not proto.HasField("graph") or not proto.opset_import:
        raise OnnxError("no ONNX model: it has no graph, or names no operator set")
    reader = _Reader(_opsets(proto), folder)
    reader.check_operators(proto.graph)
    graph = reader.graph(proto.graph, frozenset(), 0)
    return Model(graph, proto.producer_name, reader.opsets)


def _opsets(proto: Any) -> dict[str, int]:
    opsets = {_domain(entry.domain): entry.version for entry in proto.opset_import}
    newest = onnx.defs.onnx_opset_version()
    if opsets.get("", 1) > newest:
        raise OnnxError(
            f"operator set {opsets['']}, expected at most {newest}, the newest that the onnx "
            "package which is installed knows"
        )
    return opsets


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


@lru_cache(maxsize=1024)
def _schema(op: str, version: int, domain: str) -> Any:
    try:
        return onnx.defs.get_schema(op, version, domain)
    except (onnx.defs.SchemaError, TypeError):
        return None


@dataclass
class _Reader:
    opsets: dict[str, int]
    folder: str | None

    def version(self, proto: Any) -> int:
        return self.opsets.get(_domain(proto.domain), 0)

    def check_operators(self, proto: Any) -> None:
        """Raise an error that names all operators that are missing, before anything is made."""
        missing: dict[str, None] = {}
        for node in _all_nodes(proto, 0):
            domain, version = _domain(node.domain), self.version(node)
            if operators.find(domain, node.op_type, version) is None:
                name = operator_name(domain, node.op_type)
                known = any(key == (domain, node.op_type) for key in operators.OPERATORS)
                missing[f"{name} of operator set {version}" if known else name] = None
        if missing:
            listed = ", ".join(map(shown, sorted(missing)))
            raise OnnxError(
                f"operators that are not supported: {listed}; see docs/onnx.md for those that are"
            )

    def graph(self, proto: Any, outer: frozenset[str], depth: int) -> Graph:
        """Read a graph; `outer` are the names of the graphs around it."""
        if depth > MOST_DEEP:
            raise OnnxError(f"more than {MOST_DEEP} graphs inside one another")
        if proto.sparse_initializer:
            raise OnnxError("it has sparse constants, expected dense ones")
        constants = self.constants(proto)
        inputs = tuple(_value(v) for v in proto.input if v.name not in constants)
        known = set(constants)
        for value in inputs:
            _define(known, value.name, "an input")
        nodes, free = list[Node](), set[str]()
        for place, node in enumerate(proto.node):
            with within(_told(node, place)):
                nodes.append(self.node(node, place, known, outer, free, depth))
        outputs = tuple(_value(v) for v in proto.output)
        for value in outputs:
            _use(value.name, known, outer, free, "an output")
        return Graph(proto.name, tuple(nodes), inputs, outputs, constants, frozenset(free))

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
        outer: frozenset[str],
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
                attributes[attribute.name] = self.attribute(attribute, outer | known, depth)
        for value in attributes.values():
            if isinstance(value, Graph):
                free |= value.free - known
        domain, version = _domain(proto.domain), self.version(proto)
        schema = _schema(proto.op_type, version, domain)
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
        )
        if schema is not None:
            _check_schema(node, proto)
        for name in node.outputs:
            if name:
                _define(known, name, "an output")
        return node

    def attribute(self, proto: Any, known: frozenset[str], depth: int) -> Any:
        kind = proto.type
        if proto.ref_attr_name:
            raise OnnxError("refers to an attribute of a function, expected a value")
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


def _all_nodes(proto: Any, depth: int) -> Iterator[Any]:
    """Yield the nodes of a graph and of the graphs inside it."""
    if depth > MOST_DEEP:
        raise OnnxError(f"more than {MOST_DEEP} graphs inside one another")
    for node in proto.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == _A.GRAPH:
                yield from _all_nodes(attribute.g, depth + 1)


def _told(proto: Any, place: int) -> str:
    return str(Node(proto.op_type, _domain(proto.domain), proto.name, 0, (), (), {}, None, place))


def _define(known: set[str], name: str, what: str) -> None:
    if name in known:
        raise OnnxError(f"{what} is called {name!r:.100}, as is another value before it")
    known.add(name)


def _use(name: str, known: set[str], outer: frozenset[str], free: set[str], what: str) -> None:
    if name in known:
        return
    if name not in outer:
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


def _check_schema(node: Node, proto: Any) -> None:
    """Check the number of inputs and outputs, and the names and kinds of attributes."""
    schema = node.schema
    for what, names, least, most in (
        ("inputs", node.inputs, schema.min_input, schema.max_input),
        ("outputs", node.outputs, schema.min_output, schema.max_output),
    ):
        if not least <= len(names) <= most:
            raise OnnxError(f"{len(names)} {what}, expected {least} to {most}")
    for k, name in enumerate(node.inputs):
        formal = schema.inputs[min(k, len(schema.inputs) - 1)]
        if not name and formal.option == onnx.defs.OpSchema.FormalParameterOption.Single:
            raise OnnxError(f"input {formal.name} is left out, expected one")
    for attribute in proto.attribute:
        known = schema.attributes.get(attribute.name)
        if known is None:
            listed = ", ".join(schema.attributes) or "none"
            raise OnnxError(f"attribute {attribute.name!r:.100}, expected one of: {listed}")
        if int(known.type.value) != attribute.type:
            kinds = {number: kind for kind, number in _A.AttributeType.items()}
            raise OnnxError(
                f"attribute {attribute.name} is of kind {kinds.get(attribute.type, '?')}, expected "
                f"{known.type.name}"
            )
    for name, known in schema.attributes.items():
        if known.required and name not in node.attributes:
            raise OnnxError(f"attribute {name} is missing")
