"""Products with a constant matrix, and what may follow them, on the kernels."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.chain import ChainSpec, Convolution, Map
from fastlstm.onnx.graph import Array, Graph, Node
from fastlstm.onnx.operators import KERNELS, NUMPY
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref
from fastlstm.runtime import get_num_threads

MOST_ROWS = 256  # of a chain where nothing follows: it copies its result
SMALL = 1 << 21  # multiply-adds that one thread makes soonest


class Linear(NamedTuple):
    """map(x @ weight + bias)."""

    x: Ref  # [...,K]
    weight: Ref  # [K,M]
    bias: Ref | None = None  # [M]
    map: str = ""


def runs(node: Node, graph: Graph) -> str:
    """Return where a product runs."""
    weight = graph.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    return NUMPY if weight is None or weight.ndim != 2 or weight.dtype.kind != "f" else KERNELS


def linear(p: Planner, x: Ref, weight: Ref, bias: Ref | None) -> Ref | None:
    """Return x @ weight + bias, None if it is not for the kernels."""
    known = weight.constant and (bias is None or bias.constant)
    if not known or weight.array.ndim != 2 or x.dtype not in (np.float32, np.float64):
        return None
    K, M = weight.shape
    if bias is not None and bias.array.size != M or not hasattr(kernels.backend(), "BoundForward"):
        return None
    rows = prod(x.shape[:-1])
    if not (K and M and x.shape and x.shape[-1] == K and rows):
        return None
    if rows > MOST_ROWS and x.dtype != np.float32:
        return None
    if bias is not None and bias.shape[-1:] != (M,):
        return None
    return _add(p, Linear(p.dense(x), weight, bias))


def followed(
    p: Planner, node: Node, ref: Ref, place: int = 0, bias: Ref | None = None, map: str = ""
) -> Ref | None:
    """Return the result of the product that made `ref` with more behind it, None if there is none.

    Only where the node being planned is all that reads it: the step before is left out of the plan.
    """
    step = p.alone(ref, node.inputs[place])
    if step is None or step.op != "Linear" or step.outputs[0] is not ref:
        return None
    before: Linear = step.attributes["linear"]
    if before.map:
        return None
    if bias is not None:
        M = before.weight.shape[1]
        if before.bias is not None or not bias.constant or bias.shape != (M,):
            return None
        before = before._replace(bias=bias)
    return _add(p, before._replace(map=map))


def _add(p: Planner, made: Linear) -> Ref:
    x, weight, bias, map = made
    out = p.new((*x.shape[:-1], weight.shape[1]), x.dtype)
    inputs = [ref for ref in (x, weight, bias) if ref is not None]
    p.step(inputs, (out,), lambda: [_call(made, out.array)], op="Linear", linear=made)
    return out


def _call(made: Linear, out: Array) -> Call:
    x, weight, bias, map = made
    K, M = weight.shape
    rows = x.array.reshape(-1, K)
    b = None if bias is None else bias.array.reshape(M)
    if len(rows) > MOST_ROWS and not map:
        return _product(rows, weight.array, b, out.reshape(-1, M))
    stages: list[Any] = [Convolution(weight.array.T[:, :, None], b)] + [Map(map)] * bool(map)
    spec = ChainSpec(tuple(stages), len(rows), K, x.dtype.name)
    run: Callable[..., Array] = kernels.backend().chain(spec, 1)
    into = out.reshape(1, -1, M)
    if rows.size * M < SMALL:
        return lambda: np.copyto(into, run(rows[None]))
    return lambda: np.copyto(into, run(rows[None], get_num_threads()))


def _product(rows: Array, weight: Array, bias: Array | None, out: Array) -> Call:
    """Return a call that writes ``rows @ weight + bias`` of float32 to `out`."""
    backend = kernels.backend()
    packed = backend.pack_matrix(np.ascontiguousarray(weight.T), "float32")

    def call() -> None:
        threads = get_num_threads()
        backend.matmul(rows, packed, bias, precision="float32", out=out, n_threads=threads)

    return call
