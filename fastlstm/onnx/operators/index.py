"""Operators that pick elements by index, or make indices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.shape import axis_of
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out


def from_zero(indices: Array, size: int) -> Array:
    """Return indices as those from 0 on; OnnxError if one is outside."""
    if indices.size and not (-size <= indices.min() and indices.max() < size):
        wrong = indices[(indices < -size) | (indices >= size)].flat[0]
        raise OnnxError(f"index {wrong}, expected {-size} to {size - 1}")
    found: Array = np.where(indices < 0, indices + size, indices).astype(np.intp)
    return found


@operator("Gather", since=1)
def gather(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, indices = inputs
    axis = axis_of(node.integer("axis", 0), len(x.shape))
    size = x.shape[axis]
    if indices.constant and indices.array.ndim == 0:
        at = int(from_zero(indices.array, size))
        near = x.array[(slice(None),) * axis + (slice(at, at + 1),)]
        return [p.view(x, near.squeeze(axis))]
    out = p.new(x.shape[:axis] + indices.shape + x.shape[axis + 1 :], x.dtype)

    def bind() -> list[Call]:
        if indices.constant:
            known = from_zero(indices.array, size)
            return [partial(x.array.take, known, axis, out.array, "clip")]
        return [lambda: x.array.take(from_zero(indices.array, size), axis, out.array, "clip")]

    p.step(inputs, (out,), bind)
    return [out]


def _in_numpy(
    p: Planner, inputs: Inputs, shape: Sequence[int], dtype: Any, function: Callable[..., Any]
) -> list[Ref]:
    """Add a step of a function of arrays, whose result has a shape that is known."""
    out = p.new(shape, dtype)

    def call() -> None:
        np.copyto(out.array, function(*(i.array for i in inputs)), casting="unsafe")

    p.step(inputs, (out,), lambda: [call])
    return [out]


@operator("GatherElements", since=11)
def gather_elements(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, indices = inputs
    axis = axis_of(node.integer("axis", 0), len(x.shape))
    _check_beside(x, indices, axis)

    def function(a: Array, at: Array) -> Array:
        cut = tuple(slice(n) for k, n in enumerate(at.shape))
        near = a[tuple(slice(None) if k == axis else s for k, s in enumerate(cut))]
        found: Array = np.take_along_axis(near, from_zero(at, x.shape[axis]), axis)
        return found

    return _in_numpy(p, inputs, indices.shape, x.dtype, function)


def _check_beside(x: Ref, indices: Ref, axis: int) -> None:
    fits = len(indices.shape) == len(x.shape) and all(
        k == axis or n <= x.shape[k] for k, n in enumerate(indices.shape)
    )
    if not fits:
        raise OnnxError(f"indices have shape {indices.shape}, expected one within {x.shape}")


@operator("GatherND", since=11)
def gather_nd(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, indices = inputs
    b = node.integer("batch_dims", 0)
    if not (0 <= b < min(len(x.shape), len(indices.shape)) and x.shape[:b] == indices.shape[:b]):
        raise OnnxError(f"shapes {x.shape} and {indices.shape} with batch_dims {b} do not fit")
    depth = indices.shape[-1]
    if not 0 < depth <= len(x.shape) - b:
        raise OnnxError(f"indices have shape {indices.shape}, expected up to {len(x.shape) - b}")

    def function(a: Array, at: Array) -> Array:
        wide = at.ndim - 1
        places = tuple(from_zero(at[..., d], a.shape[b + d]) for d in range(depth))
        front = [
            np.arange(n).reshape((1,) * k + (n,) + (1,) * (wide - k - 1))
            for k, n in enumerate(a.shape[:b])
        ]
        found: Array = a[tuple(front) + places]
        return found

    shape = indices.shape[:-1] + x.shape[b + depth :]
    return _in_numpy(p, inputs, shape, x.dtype, function)


REDUCTIONS: dict[str, Any] = {
    "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum,
}  # fmt: skip


def _put(node: Node, out: Array, at: tuple[Any, ...], values: Array) -> None:
    """Write values at places, or add them to what is there and the like."""
    how = node.text("reduction", "none", ("none", *REDUCTIONS))
    if how == "none":
        out[at] = values
    else:
        REDUCTIONS[how].at(out, at, values)


@operator("ScatterND", since=11)
def scatter_nd(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, indices, updates = inputs
    depth = indices.shape[-1] if indices.shape else 0
    if not 0 < depth <= len(x.shape) or updates.shape != indices.shape[:-1] + x.shape[depth:]:
        raise OnnxError(
            f"indices {indices.shape} and updates {updates.shape} do not fit x of shape {x.shape}"
        )

    def places(at: Array) -> tuple[Array, ...]:
        return tuple(from_zero(at[..., d], x.shape[d]) for d in range(depth))

    if indices.constant and node.attributes.get("reduction", "none") == "none":
        p.budget.take(x.shape, np.dtype(np.int64))
        numbers = np.arange(x.array.size).reshape(x.shape)
        return [_put_at(p, x, numbers[places(indices.array)], updates)]

    def function(a: Array, at: Array, values: Array) -> Array:
        out: Array = a.copy()
        _put(node, out, places(at), values)
        return out

    return _in_numpy(p, inputs, x.shape, x.dtype, function)


def _put_at(p: Planner, x: Ref, at: Array, updates: Ref) -> Ref:
    """Return x with the elements of the numbers `at` replaced: through a view, if there is one."""
    out = p.like(x)
    view = _view_at(out.array, at)

    def bind() -> list[Call]:
        first: Call = partial(np.copyto, out.array, x.array)
        if view is not None:
            return [first, partial(np.copyto, view, updates.array)]
        return [first, lambda: out.array.put(at, updates.array)]

    p.step((x, updates), (out,), bind)
    return out


def _view_at(array: Array, at: Array) -> Array | None:
    """Return the elements of the numbers `at` as a view, None if they do not stand regularly."""
    if not at.size or len(np.unique(at)) < at.size:
        return None
    start = int(at.flat[0])
    steps = [
        int(at[(0,) * k + (1,) + (0,) * (at.ndim - k - 1)]) - start if n > 1 else 0
        for k, n in enumerate(at.shape)
    ]
    regular = np.full(at.shape, start)
    for axis, step in enumerate(steps):
        regular += step * np.arange(at.shape[axis]).reshape((-1,) + (1,) * (at.ndim - axis - 1))
    if not np.array_equal(regular, at):
        return None
    flat = array.reshape(-1)[start:]
    strides = tuple(step * array.itemsize for step in steps)
    return np.lib.stride_tricks.as_strided(flat, at.shape, strides)


@operator("ScatterElements", "Scatter", since=9)
def scatter_elements(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, indices, updates = inputs
    axis = axis_of(node.integer("axis", 0), len(x.shape))
    _check_beside(x, indices, axis)
    if updates.shape != indices.shape:
        raise OnnxError(f"updates have shape {updates.shape}, expected {indices.shape}")

    def function(a: Array, at: Array, values: Array) -> Array:
        out: Array = a.copy()
        places: list[Any] = list(np.ogrid[tuple(slice(n) for n in at.shape)])
        places[axis] = from_zero(at, a.shape[axis])
        _put(node, out, tuple(places), values)
        return out

    return _in_numpy(p, inputs, x.shape, x.dtype, function)


@operator("Range", since=11)
def arange(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    start, limit, delta = (p.need(ref).reshape(()) for ref in inputs)
    if delta == 0:
        raise OnnxError("delta is 0")
    span = limit.item() - start.item()
    count = max(math.ceil(span / delta.item()), 0)
    p.budget.take((count,), start.dtype)
    return [p.constant(start + np.arange(count) * delta, start.dtype)]


@operator("NonZero", since=9)
def non_zero(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs

    def run() -> list[Array]:
        found = np.nonzero(np.atleast_1d(x.array))
        return [np.array(found[: x.array.ndim], np.int64).reshape(x.array.ndim, -1)]

    return p.dynamic(inputs, run)


@operator("Compress", since=9)
def compress(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, condition = inputs
    axis = node.attributes.get("axis")
    axis = None if axis is None else axis_of(node.integer("axis"), len(x.shape))
    return p.dynamic(inputs, lambda: [np.compress(condition.array, x.array, axis)])


@operator("OneHot", since=9)
def one_hot(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    indices, depth, values = inputs
    count = int(p.need(depth).reshape(()))
    axis = axis_of(node.integer("axis", -1), len(indices.shape), 1)
    shape = indices.shape[:axis] + (count,) + indices.shape[axis:]

    def function(at: Array, _: Array, pair: Array) -> Array:
        at = np.where(at < 0, at + count, at)
        levels = np.arange(count).reshape((count,) + (1,) * (at.ndim - axis))
        found: Array = np.where(np.expand_dims(at, axis) == levels, pair[1], pair[0])
        return found

    return _in_numpy(p, inputs, shape, values.dtype, function)


@operator("EyeLike", since=9)
def eye_like(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    from fastlstm.onnx.tensors import dtype_of

    (x,) = inputs
    dtype = dtype_of(node.integer("dtype")) if "dtype" in node.attributes else x.dtype
    p.budget.take(x.shape, dtype)
    rows, columns = x.shape
    return [p.constant(np.eye(rows, columns, node.integer("k", 0), dtype))]


@operator("Trilu", since=14)
def trilu(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x = inputs[0]
    k = int(p.need(inputs[1]).reshape(())) if len(inputs) > 1 and inputs[1] is not None else 0
    function = np.triu if node.integer("upper", 1) else np.tril
    k = min(max(k, -(1 << 40)), 1 << 40)
    return _in_numpy(p, (x,), x.shape, x.dtype, lambda a: function(a, k))


@operator("TopK", since=10)
def top_k(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, count = inputs[0], int(p.need(inputs[1]).reshape(()))
    axis = axis_of(node.integer("axis", -1), len(x.shape))
    if not 0 <= count <= x.shape[axis]:
        raise OnnxError(f"k is {count}, expected 0 to {x.shape[axis]}")
    largest = node.integer("largest", 1)
    shape = x.shape[:axis] + (count,) + x.shape[axis + 1 :]
    values, places = p.new(shape, x.dtype), p.new(shape, np.int64)

    def call() -> None:
        keys = np.flip(x.array, axis) if largest else x.array
        order = np.argsort(keys, axis, kind="stable")
        if largest:  # equal ones from the first on
            order = np.flip(x.shape[axis] - 1 - order, axis)
        order = order[(slice(None),) * axis + (slice(count),)]
        np.copyto(places.array, order)
        np.copyto(values.array, np.take_along_axis(x.array, order, axis))

    p.step((x,), (values, places), lambda: [call])
    return [values, places]


@operator("ReverseSequence", since=10)
def reverse_sequence(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, lengths = inputs
    time, batch = node.integer("time_axis", 0), node.integer("batch_axis", 1)
    if {time, batch} != {0, 1} or len(x.shape) < 2 or lengths.shape != (x.shape[batch],):
        raise OnnxError(
            f"x has shape {x.shape} and sequence_lens {lengths.shape}, expected axes 0 and 1 for "
            "time and batch"
        )
    steps = x.shape[time]

    def function(a: Array, counts: Array) -> Array:
        t, n = np.arange(steps)[:, None], counts[None, :]
        if counts.size and not 0 <= counts.min() <= counts.max() <= steps:
            raise OnnxError(f"sequence_lens are {counts!s:.80}, expected 0 to {steps}")
        at, row = np.where(t < n, n - 1 - t, t), np.arange(counts.size)[None, :]
        found: Array = a[at, row] if time == 0 else a[row.T, at.T]
        return found

    return _in_numpy(p, inputs, x.shape, x.dtype, function)
