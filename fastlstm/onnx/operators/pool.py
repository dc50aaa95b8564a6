"""Pools: the largest or the mean of each window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.windows import (
    Windows,
    auto_pad,
    filled,
    interior,
    padded_input,
    windows_of,
)
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out


def _prepare(p: Planner, node: Node, x: Ref, border: float) -> tuple[Windows, Array | None]:
    """Return the windows, and a padded input whose padding holds `border`."""
    at = windows_of(node, x.shape[2:], node.integers("kernel_shape"))
    at.check_taps()
    return at, padded_input(p, x, at, border)


def _lowest(dtype: np.dtype[Any]) -> float:
    return -np.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)


@operator("MaxPool", since=1)
def max_pool(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    at, padded = _prepare(p, node, x, _lowest(x.dtype))
    out = p.new((*x.shape[:2], *at.output), x.dtype)

    def bind() -> list[Call]:
        source, made = filled(x, at, padded)
        first, *others = at.taps(source)
        made.append(copying(out.array, first))
        made += [partial(np.maximum, out.array, tap, out=out.array) for tap in others]
        return made

    p.step((x,), (out,), bind)
    if len(node.outputs) < 2 or not node.outputs[1]:
        return [out]
    return [out, _places(p, node, x, at, padded)]


def _places(p: Planner, node: Node, x: Ref, at: Windows, padded: Array | None) -> Ref:
    """Return where in x the largest elements are, counted over all of x."""
    # An input that holds the places of its elements, cut into the same windows.
    p.budget.take(x.shape, np.dtype(np.int64))
    numbers = np.arange(prod(x.shape), dtype=np.int64).reshape(x.shape)
    if node.integer("storage_order", 0):
        n, axes = x.shape[:2], x.shape[2:]
        columns = np.arange(prod(axes), dtype=np.int64).reshape(axes[::-1]).T
        numbers = columns + np.arange(prod(n), dtype=np.int64).reshape(
            *n, *(1,) * len(axes)
        ) * prod(axes)
    if padded is not None:
        wide = np.full(padded.shape, -1, np.int64)
        interior(at, wide)[...] = numbers
        numbers = wide
    out = p.new((*x.shape[:2], *at.output), np.int64)
    windows = at.view(numbers)

    def call() -> None:
        source = x.array if padded is None else padded
        flat = at.view(source).reshape(*x.shape[:2], prod(at.size), *at.output)
        best = flat.argmax(2)[:, :, None]
        places = windows.reshape(flat.shape)
        np.copyto(out.array, np.take_along_axis(places, best, 2)[:, :, 0])

    p.step((x,), (out,), lambda: [call])
    return out


@operator("AveragePool", since=1)
def average_pool(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    at, padded = _prepare(p, node, x, 0)
    out = p.new((*x.shape[:2], *at.output), x.dtype)
    counts = _counts(node, at, x.dtype)

    def bind() -> list[Call]:
        source, made = filled(x, at, padded)
        first, *others = at.taps(source)
        made.append(copying(out.array, first))
        made += [partial(np.add, out.array, tap, out.array) for tap in others]
        made.append(partial(np.divide, out.array, counts, out.array))
        return made

    p.step((x,), (out,), bind)
    return [out]


def _counts(node: Node, at: Windows, dtype: np.dtype[Any]) -> Array:
    """Return how many elements each window has, [*output]; padding counts if the node says so."""
    if not at.pads:
        return np.asarray(prod(at.size), dtype)
    ones = np.zeros(at.padded, dtype)
    interior(at, ones)[...] = 1
    if node.integer("count_include_pad", 0):  # but not what only the last windows reach
        pads = node.integers("pads", (0,) * (2 * len(at.size)))
        after = pads[len(at.size) :] if auto_pad(node) == "NOTSET" else at.after
        cuts = (slice(0, b + n + a) for b, n, a in zip(at.before, at.input, after, strict=True))
        ones[tuple(cuts)] = 1
    total: Array = np.zeros(at.output, dtype)
    for tap in at.taps(ones):
        total += tap
    return total


@operator("GlobalAveragePool", "GlobalMaxPool", since=1)
def global_pool(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    axes = tuple(range(2, len(x.shape)))
    if not axes or not prod(x.shape[2:]):
        raise OnnxError(f"x has shape {x.shape}, expected [N,C,...] without an empty axis")
    out = p.new((*x.shape[:2], *(1,) * len(axes)), x.dtype)
    mean = node.op == "GlobalAveragePool"

    def bind() -> list[Call]:
        function = np.add.reduce if mean else np.maximum.reduce
        made: list[Call] = [partial(function, x.array, axes, None, out.array, True)]
        if mean:
            count = np.asarray(prod(x.shape[2:]), x.dtype)
            made.append(partial(np.divide, out.array, count, out.array))
        return made

    p.step((x,), (out,), bind)
    return [out]
