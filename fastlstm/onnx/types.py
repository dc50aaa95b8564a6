"""The dtypes that an operator takes, as the tables of the `onnx` package have them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Node
from fastlstm.onnx.schema import SINGLE

if TYPE_CHECKING:
    from fastlstm.onnx.values import Ref

_NAMES = {"float32": "float", "float64": "double"}  # as they are called there


@lru_cache(maxsize=1024)
def _allowed(schema: Any) -> dict[str, tuple[str, ...]]:
    """Return the types that each type parameter of an operator stands for."""
    return {
        row.type_param_str: tuple(sorted(row.allowed_type_strs)) for row in schema.type_constraints
    }


@lru_cache(maxsize=64)
def _type_of(dtype: Any) -> str:
    """Return what the tables call a tensor; NumPy makes the name of a dtype anew each time."""
    return f"tensor({_NAMES.get(dtype.name, dtype.name)})"


def check_types(node: Node, inputs: Sequence[Ref | None]) -> None:
    """Raise OnnxError for a dtype that the operator does not take, or not beside another's."""
    schema = node.schema
    if schema is None:
        return
    last, chosen = len(schema.inputs) - 1, dict[str, tuple[str, str]]()
    for k, ref in enumerate(inputs):
        formal = schema.inputs[min(k, last)]
        if ref is None:
            if formal.option == SINGLE:  # left out where the function that it stands in was called
                raise OnnxError(f"input {formal.name} is left out, expected one")
            continue
        found = _type_of(ref.dtype)
        allowed = _allowed(schema).get(formal.type_str, (formal.type_str,))
        if found not in allowed:
            told = ", ".join(name for name in allowed if name.startswith("tensor"))
            raise OnnxError(f"input {formal.name} is a {found}, expected {told}")
        name, before = chosen.setdefault(formal.type_str, (formal.name, found))
        if before != found and formal.is_homogeneous:
            raise OnnxError(f"input {formal.name} is a {found}, expected {before} as {name}")
