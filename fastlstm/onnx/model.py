"""A model read from an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from fastlstm.counts import count_of
from fastlstm.files.naming import named_path
from fastlstm.onnx import operators
from fastlstm.onnx.errors import OnnxError, shown, within
from fastlstm.onnx.graph import Array, Graph, Node, Value, operator_name
from fastlstm.onnx.read import Model, read_bytes, read_file
from fastlstm.onnx.run import Runner, key_of

MOST_BYTES = 4 << 30


def load(source: str | os.PathLike[str] | bytes, *, most_bytes: int = MOST_BYTES) -> OnnxModel:
    """Return the model of an ONNX file.

    Parameters
    ----------
    source : its path, or its bytes.
    most_bytes : that the arrays of a plan, which is made for one set of input shapes, may take
        beside the file's own constants.

    Raises
    ------
    OnnxError
        A ValueError: if it is no ONNX file or a damaged one, or needs operators that are not
        supported; the message names all of them.
    OSError
        If the file cannot be read.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        with within("the model"):
            return OnnxModel(read_bytes(bytes(source)), "the model", most_bytes)
    path = str(named_path(source, "source"))
    return OnnxModel(read_file(path), path, most_bytes)


class OnnxModel:
    """What `load` returns: ``model(x)``, or ``model.run({"x": x})``.

    A plan is made when inputs of new shapes come first: constants are folded, views placed, buffers
    and packed weights made. It is kept for the next inputs of these shapes. Threads may share a
    model: they take turns.

    Attributes
    ----------
    inputs, outputs : name, dtype and shape of each, in the file's order; an axis whose size is not
        fixed has a name, or None. Values of bfloat16 are float32 here.
    """

    def __init__(self, model: Model, name: str, most_bytes: int) -> None:
        self._model, self._name = model, name
        self.inputs: tuple[Value, ...] = model.graph.inputs
        self.outputs: tuple[Value, ...] = model.graph.outputs
        self._names = [value.name for value in self.inputs]
        self._results = [value.name for value in self.outputs]
        self._runner = Runner(model.graph, most_bytes)

    def __call__(self, *inputs: Any) -> tuple[Array, ...]:
        """Run on inputs in the file's order; return the outputs in the file's order.

        Raises
        ------
        OnnxError
            A ValueError: if an input's dtype or shape does not fit, or a node cannot take what it
            is given; it names the file and the node.
        """
        key = key_of(inputs)
        if not self._runner.is_planned(key):  # or they were checked when it was planned
            inputs = self._checked(inputs)
            key = key_of(inputs)
        try:
            return tuple(self._runner.run(inputs, key))
        except OnnxError as error:
            raise OnnxError(f"{self._name}: {error}") from error.__cause__

    def _checked(self, inputs: Sequence[Any]) -> tuple[Array, ...]:
        if len(inputs) != len(self.inputs):
            names = ", ".join(map(shown, self._names))
            raise TypeError(
                f"{count_of(len(inputs), 'input')}, expected {len(self.inputs)}: {names}"
            )
        with within(self._name):
            return tuple(_read(v, a) for v, a in zip(self.inputs, inputs, strict=True))

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """Run on inputs by name; return the outputs by name. Errors as above."""
        try:
            given = [inputs[name] for name in self._names]
        except KeyError:
            given = []
        if not len(given) == len(inputs) == len(self._names):
            self._refuse(inputs)
        return dict(zip(self._results, self(*given), strict=True))

    def _refuse(self, inputs: Mapping[str, Any]) -> NoReturn:
        """Raise the error of names that are not the inputs'."""
        strange = [name for name in inputs if name not in self._names]
        missing = [name for name in self._names if name not in inputs]
        told = f"input {strange[0]!r}" if strange else f"no input {missing[0]!r}"
        raise OnnxError(f"{self._name}: {told}, expected {', '.join(map(shown, self._names))}")

    def __repr__(self) -> str:
        made = f", by {self._model.producer}" if self._model.producer else ""
        lines = [f"OnnxModel({self._name!r}, operator set {self._model.opsets.get('', '?')}{made})"]
        lines += [f"  input   {value}" for value in self.inputs]
        lines += [f"  output  {value}" for value in self.outputs]
        placed: dict[str, dict[str, int]] = {}
        inlined: dict[str, int] = {}
        for node, graph in _nodes(self._model.graph):
            if node.body is not None:
                name = operator_name(node.domain, node.op)
                inlined[name] = inlined.get(name, 0) + 1
                continue
            where = operators.runs_on(node, graph)
            counts = placed.setdefault(where, {})
            name = operator_name(node.domain, node.op)
            counts[name] = counts.get(name, 0) + 1
        for where, counts in [*sorted(placed.items()), ("inlined", inlined)]:
            listed = ", ".join(f"{n} {shown(name)}" for name, n in counts.items())
            lines += [f"  {where + ':':8} {listed}"] * bool(counts)
        cells = [count_of(n, f"{op} cell") for op, n in self._runner.cells().items()]
        if cells:
            lines.append(f"  native:  {', '.join(cells)}, written out as some of these nodes")
        return "\n".join(lines)


def _nodes(graph: Graph) -> list[tuple[Node, Graph]]:
    """Return the nodes of a graph and of the graphs inside it, each with its graph."""
    found: list[tuple[Node, Graph]] = []
    for node in graph.nodes:
        found.append((node, graph))
        if node.body is not None:
            found += _nodes(_with_constants(node, graph))
        for value in node.attributes.values():
            if isinstance(value, Graph):
                found += _nodes(value)
    return found


def _with_constants(node: Node, graph: Graph) -> Graph:
    """Return the body of a call with the constants of the graph around that are its inputs."""
    body: Graph = node.body
    inputs = zip(body.inputs, node.inputs, strict=False)
    held = {v.name: graph.constants[name] for v, name in inputs if name in graph.constants}
    return replace(body, constants=held)


def _read(value: Value, given: Any) -> Array:
    """Return an input as an array after checking its dtype and shape."""
    array = given if type(given) is np.ndarray else np.asarray(given)
    if array.dtype.name == "bfloat16" and value.dtype == np.float32:  # of the ml_dtypes package
        array = array.astype(np.float32)
    if value.dtype is not None and array.dtype != value.dtype:
        array = _cast(value, given, array)
    if value.shape is not None:
        fits = len(value.shape) == array.ndim and all(
            have == want or not isinstance(want, int)
            for want, have in zip(value.shape, array.shape, strict=True)
        )
        if not fits:
            raise OnnxError(f"input {value.name!r:.100} has shape {array.shape}, expected {value}")
    return array


def _cast(value: Value, given: Any, array: Array) -> Array:
    """Return numbers that are no array in the dtype of an input; OnnxError for an array."""
    if isinstance(given, (np.ndarray, np.generic)) or array.dtype.kind not in "biuf":
        raise OnnxError(f"input {value.name!r:.100} is of {array.dtype}, expected {value}")
    return array.astype(value.dtype)
