"""What the tables of the `onnx` package say of a node: its inputs, outputs and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import onnx

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Node

SINGLE = onnx.defs.OpSchema.FormalParameterOption.Single  # of an input: it must be there


@lru_cache(maxsize=1024)
def schema_of(op: str, version: int, domain: str) -> Any:
    """Return an operator's row of the tables, None if they have none."""
    try:
        return onnx.defs.get_schema(op, version, domain)
    except (onnx.defs.SchemaError, TypeError):
        return None


def check_schema(node: Node, proto: Any) -> None:
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
        if not name and formal.option == SINGLE:
            raise OnnxError(f"input {formal.name} is left out, expected one")
    for attribute in proto.attribute:
        known = schema.attributes.get(attribute.name)
        if known is None:
            listed = ", ".join(schema.attributes) or "none"
            raise OnnxError(f"attribute {attribute.name!r:.100}, expected one of: {listed}")
        if int(known.type.value) != attribute.type:
            kinds = {number: kind for kind, number in onnx.AttributeProto.AttributeType.items()}
            raise OnnxError(
                f"attribute {attribute.name} is of kind {kinds.get(attribute.type, '?')}, expected "
                f"{known.type.name}"
            )
    check_required(schema, node.attributes)


def check_required(schema: Any, attributes: Mapping[str, Any]) -> None:
    """Raise OnnxError if an attribute is missing that an operator must have."""
    for name, known in schema.attributes.items():
        if known.required and name not in attributes:
            raise OnnxError(f"attribute {name} is missing")
