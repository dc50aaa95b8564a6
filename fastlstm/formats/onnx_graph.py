"""A graph of ONNX that grows node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.formats.errors import package

OPSET, IR_VERSION = 18, 8  # of 2022: what reads newer ones reads these
Info = tuple[str, str, list[Any]]  # name, dtype, and shape with names and None for any size


class Graph:
    """Nodes and constants; values go by their names, which begin with `scope`."""

    def __init__(self) -> None:
        self.scope = ""
        self._onnx = package("onnx", "onnx", "an ONNX file")
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._made = 0

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node of one output and return its name."""
        return self.nodes(kind, *inputs, outputs=(name or self._new(kind),), **attributes)[0]

    def nodes(self, kind: str, *inputs: str, outputs: Any, **attributes: Any) -> list[str]:
        """Add a node and return the names of its outputs; a number stands for so many new ones."""
        if isinstance(outputs, int):
            outputs = [self._new(kind) for _ in range(outputs)]
        made = self._onnx.helper.make_node(kind, list(inputs), list(outputs), **attributes)
        self._nodes.append(made)
        return list(outputs)

    def constant(self, name: str, value: Any) -> str:
        """Add an array and return its name, which is made distinct."""
        array = np.asarray(value, order="C")
        full = "/".join(filter(None, (self.scope, name)))
        if full in self._constants:
            full = self._new(name)
        self._constants[full] = self._onnx.numpy_helper.from_array(array, full)
        return full

    def numbers(self, *values: int) -> str:
        """Add whole numbers, int64 [n], and return their name."""
        return self.constant("numbers", np.array(values, np.int64))

    def cast(self, value: str, dtype: Any) -> str:
        """Return a value in another dtype."""
        return self.node(
            "Cast", value, to=self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        )

    def reduce(self, kind: str, value: str, axis: int, keep: bool = False) -> str:
        """Return the "Sum", "Mean", "Max" or "Min" over an axis, which is kept with size 1."""
        return self.node(f"Reduce{kind}", value, self.numbers(axis), keepdims=int(keep))

    def integer_product(self, x: str, weight: NDArray[Any]) -> str:
        """Return x W^T with x rounded to 8 bits by its range and W row by row, to 7 bits.

        On x86-64 without VNNI, ONNX Runtime adds up pairs of products in 16 bits and cuts off
        what is larger; two of 255 times 64 fit.
        """
        rounded, scale = rounded_rows(weight, 64)
        q, x_scale, zero = self.nodes("DynamicQuantizeLinear", x, outputs=3)
        sums = self.node("MatMulInteger", q, self.constant("weight", rounded.T), zero)
        real = self.cast(sums, np.float32)
        scales = self.node("Mul", x_scale, self.constant("weight_scale", scale))
        return self.node("Mul", real, scales)

    def rounded_weight(self, name: str, weight: NDArray[Any]) -> str:
        """Return the name of a weight [D,G,K] that is kept in 8 bits, row by row."""
        rounded, scale = rounded_rows(weight.reshape(-1, weight.shape[-1]))
        flat = self.node(
            "DequantizeLinear", self.constant(name, rounded), self.constant(f"{name}_scale", scale),
            self.constant(f"{name}_zero", np.zeros(len(scale), np.int8)), axis=0,
        )  # fmt: skip
        return self.node("Reshape", flat, self.numbers(*weight.shape))

    def model(self, inputs: list[Info], outputs: list[Info], producer: str) -> Any:
        """Return the model of these inputs and outputs."""
        helper, kinds = self._onnx.helper, self._onnx.helper.np_dtype_to_tensor_dtype
        given, gives = (
            [
                helper.make_tensor_value_info(name, kinds(np.dtype(dtype)), shape)
                for name, dtype, shape in infos
            ]
            for infos in (inputs, outputs)
        )
        graph = helper.make_graph(
            self._nodes, "model", given, gives, list(self._constants.values())
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name=producer
        )

    def _new(self, kind: str) -> str:
        self._made += 1
        return "/".join(filter(None, (self.scope, f"{kind.lower()}_{self._made}")))


def rounded_rows(
    weight: NDArray[Any], largest: int = 127
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return each row of a weight as numbers up to `largest`, and what they are multiplied by."""
    scale = np.maximum(np.abs(weight).max(axis=1), np.float32(1e-30)) / largest
    rounded = np.clip(np.rint(weight / scale[:, None]), -largest, largest).astype(np.int8)
    return rounded, scale.astype(np.float32)
