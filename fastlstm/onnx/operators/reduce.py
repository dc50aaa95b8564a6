"""Operators that make one number of many along axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.elementwise import number
from fastlstm.onnx.operators.shape import axes_of, axis_of, given_axes
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out

# What is done to the elements, how they are brought together, what is done to the results.
REDUCTIONS: dict[str, tuple[Any, Any, Any]] = {
    "ReduceSum": (None, np.add, None),
    "ReduceMean": (None, np.add, "divide"),
    "ReduceMax": (None, np.maximum, None),
    "ReduceMin": (None, np.minimum, None),
    "ReduceProd": (None, np.multiply, None),
    "ReduceL1": (np.absolute, np.add, None),
    "ReduceL2": (np.square, np.add, np.sqrt),
    "ReduceSumSquare": (np.square, np.add, None),
    "ReduceLogSum": (None, np.add, np.log),
    "ReduceLogSumExp": (np.exp, np.add, np.log),
}


def reduced_shape(shape: tuple[int, ...], axes: tuple[int, ...], keep: bool) -> tuple[int, ...]:
    """Return the shape after axes have become one element, or nothing."""
    if keep:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


@operator(*REDUCTIONS, since=1)
def reduction(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, axes = inputs[0], given_axes(p, node, inputs, 1)
    before, join, after = REDUCTIONS[node.op]
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            axes = ()
        else:
            axes = tuple(range(len(x.shape)))
    axes = axes_of(axes, len(x.shape))
    keep = bool(node.integer("keepdims", 1))
    shape = reduced_shape(x.shape, axes, keep)
    if before is None and after in (None, "divide") and prod(x.shape[k] for k in axes) == 1:
        return [p.reshape(x, shape)]  # of one element each
    out = p.new(shape, x.dtype)
    empty = not prod(x.shape[k] for k in axes)
    if node.op == "ReduceLogSumExp" and not empty:
        return _log_sum_exp(p, x, axes, keep, out)
    work = None if before is None else p.scratch(x.shape, x.dtype)

    def bind() -> list[Call]:
        made: list[Call] = []
        source = x.array
        if work is not None:
            made.append(partial(before, source, work))
            source = work
        made.append(_reducing(join, source, axes, out.array, keep, empty))
        if after == "divide":
            count = number(prod(x.shape[k] for k in axes), x)
            divide = np.divide if x.dtype.kind == "f" else np.floor_divide
            made.append(partial(divide, out.array, count, out.array))
        elif after is not None:
            made.append(partial(after, out.array, out.array))
        return made

    p.step((x,), (out,), bind)
    return [out]


def _reducing(
    join: Any, source: Array, axes: tuple[int, ...], out: Array, keep: bool, empty: bool
) -> Call:
    if source.dtype == bool:  # the largest of truths is whether there is one
        join = np.logical_or if join is np.maximum else np.logical_and
    if not empty:
        return partial(join.reduce, source, axes, None, out, keep)
    lowest, highest = _limits(out.dtype)
    nothing = {np.maximum: lowest, np.minimum: highest, np.multiply: 1}.get(join, 0)
    if join in (np.logical_or, np.logical_and):
        nothing = join is np.logical_and
    return partial(out.fill, nothing)


def _limits(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return the lowest and the highest number of a dtype."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    limits = np.iinfo(np.int8 if dtype.kind == "b" else dtype)
    return limits.min, limits.max


def _log_sum_exp(p: Planner, x: Ref, axes: tuple[int, ...], keep: bool, out: Ref) -> list[Ref]:
    """The largest taken out first, so that nothing overflows."""
    work = p.scratch(x.shape, x.dtype)
    top = p.scratch(reduced_shape(x.shape, axes, True), x.dtype)

    def call() -> None:
        np.maximum.reduce(x.array, axes, out=top, keepdims=True)
        top[~np.isfinite(top)] = 0
        np.subtract(x.array, top, work)
        np.exp(work, work)
        np.add.reduce(work, axes, out=out.array, keepdims=keep)
        np.log(out.array, out.array)
        np.add(out.array, top.reshape(out.shape), out.array)

    p.step((x,), (out,), lambda: [call])
    return [out]


@operator("ArgMax", "ArgMin", since=1)
def arg(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    axis = axis_of(node.integer("axis", 0), len(x.shape))
    last = bool(node.integer("select_last_index", 0))
    keep = bool(node.integer("keepdims", 1))
    if not x.shape[axis]:
        raise OnnxError(f"x has shape {x.shape}, expected elements on axis {axis}")
    out = p.new(reduced_shape(x.shape, (axis,), keep), np.int64)
    into = out.array.reshape(reduced_shape(x.shape, (axis,), False))
    function = np.argmax if node.op == "ArgMax" else np.argmin

    def call() -> None:
        if last:
            np.subtract(x.shape[axis] - 1, function(np.flip(x.array, axis), axis), into)
        else:
            function(x.array, axis, into)

    p.step((x,), (out,), lambda: [call])
    return [out]


@operator("Hardmax", since=13)
def hardmax(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """One where the largest element of an axis is, its first; else zero."""
    (x,) = inputs
    axis, out = axis_of(node.integer("axis", -1), len(x.shape)), p.like(x)

    def call() -> None:
        out.array.fill(0)
        if x.array.size:
            best = np.expand_dims(x.array.argmax(axis), axis)
            np.put_along_axis(out.array, best, 1, axis)

    p.step((x,), (out,), lambda: [call])
    return [out]


@operator("CumSum", since=11)
def cum_sum(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x = inputs[0]
    axis = axis_of(int(p.need(inputs[1]).reshape(())), len(x.shape))
    back, exclusive = bool(node.integer("reverse", 0)), bool(node.integer("exclusive", 0))
    out = p.new(x.shape, x.dtype)

    def call() -> None:
        source, into = (np.flip(a, axis) if back else a for a in (x.array, out.array))
        if not exclusive:
            np.add.accumulate(source, axis, None, into)
            return
        front = (slice(None),) * axis
        first, before, rest = (front + (s,) for s in (slice(1), slice(-1), slice(1, None)))
        into[first] = 0
        np.add.accumulate(source[before], axis, None, into[rest])

    p.step((x,), (out,), lambda: [call])
    return [out]


@operator("Softmax", "LogSoftmax", since=1)
def softmax(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    axes: tuple[int, ...]
    if node.version >= 13:
        axes = (axis_of(node.integer("axis", -1), len(x.shape)),)
    else:  # over all axes from this one on
        first = node.integer("axis", 1)
        first = len(x.shape) if first == len(x.shape) else axis_of(first, len(x.shape))
        axes = tuple(range(first, len(x.shape)))
    if not prod(x.shape[k] for k in axes):
        return [x]
    out, held = p.like(x), p.scratch(reduced_shape(x.shape, axes, True), x.dtype)
    log = node.op == "LogSoftmax"
    work = p.scratch(x.shape if log else (0,), x.dtype)

    def bind() -> list[Call]:
        a, y = x.array, out.array
        made: list[Call] = [
            partial(np.maximum.reduce, a, axes, None, held, True),
            partial(np.subtract, a, held, y),
        ]
        if not log:
            return made + [
                partial(np.exp, y, y),
                partial(np.add.reduce, y, axes, None, held, True),
                partial(np.divide, y, held, y),
            ]
        return made + _log_of_sum(y, held, axes, work)

    p.step((x,), (out,), bind)
    return [out]


def _log_of_sum(y: Array, held: Array, axes: tuple[int, ...], work: Array) -> list[Call]:
    return [
        partial(np.exp, y, work),
        partial(np.add.reduce, work, axes, None, held, True),
        partial(np.log, held, held),
        partial(np.subtract, y, held, y),
    ]
