"""Operators that move elements or tell shapes: views wherever there is one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out


def axis_of(axis: int, ndim: int, extra: int = 0) -> int:
    """Return an axis as one from 0 on."""
    if not -ndim - extra <= axis < ndim + extra:
        raise OnnxError(f"axis {axis}, expected one of {ndim}")
    return axis + ndim + extra if axis < 0 else axis


def axes_of(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    """Return axes as those from 0 on, each once."""
    found = tuple(axis_of(axis, ndim) for axis in axes)
    if len(set(found)) != len(found):
        raise OnnxError(f"axes {tuple(axes)!s:.80}, expected each once")
    return found


def given_axes(
    p: Planner, node: Node, inputs: Inputs, place: int, name: str = "axes"
) -> tuple[int, ...] | None:
    """Return a list that is an attribute in old operator sets and an input in new ones."""
    if len(inputs) > place and inputs[place] is not None:
        return p.need_ints(inputs[place], name)
    return node.optional_integers(name)


@operator("Constant", since=1)
def constant(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    if len(node.attributes) != 1:
        raise OnnxError(f"{count_of(len(node.attributes), 'attribute')}, expected one value")
    ((name, value),) = node.attributes.items()
    if name == "value":
        return [p.constant(value)]
    if name.startswith(("value_int", "value_float")):
        return [p.constant(value, np.int64 if "int" in name else np.float32)]
    raise OnnxError(f"attribute {name} is given, expected value, value_int(s) or value_float(s)")


@operator("ConstantOfShape", since=9)
def constant_of_shape(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    shape = p.need_ints(inputs[0], "the shape")
    if value.size != 1:
        raise OnnxError(f"value has shape {value.shape}, expected one number")
    p.budget.take(shape, value.dtype, count=False)
    return [p.constant(np.broadcast_to(value.reshape(()), shape))]


@operator("Shape", since=1)
def shape(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    sizes = np.array(inputs[0].shape, np.int64)
    end = node.integer("end", len(sizes))
    return [p.constant(sizes[node.integer("start", 0) : end])]


@operator("Size", since=1)
def size(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return [p.constant(inputs[0].array.size, np.int64)]


@operator("Reshape", since=5)
def reshape(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, wanted = inputs[0], list(p.need_ints(inputs[1], "shape"))
    if not node.integer("allowzero", 0):
        for k, length in enumerate(wanted):
            if length == 0:
                if k >= len(x.shape):
                    raise OnnxError(f"shape {wanted!s:.80} keeps an axis that {x.shape} lacks")
                wanted[k] = x.shape[k]
    return [p.reshape(x, resolved(wanted, x.array.size))]


def resolved(wanted: list[int], total: int) -> list[int]:
    """Return sizes with the one that is -1 found from the number of elements."""
    if wanted.count(-1) > 1:
        raise OnnxError(f"shape {wanted!s:.80}, expected -1 once at most")
    if -1 in wanted:
        rest = 1
        for length in wanted:
            rest *= 1 if length == -1 else length
        if rest <= 0 or total % rest:
            raise OnnxError(f"{count_of(total, 'element')} cannot be of shape {wanted!s:.80}")
        wanted[wanted.index(-1)] = total // rest
    return wanted


@operator("Flatten", since=1)
def flatten(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    axis = node.integer("axis", 1)
    axis = len(x.shape) if axis == len(x.shape) else axis_of(axis, len(x.shape))
    rows = int(np.prod(x.shape[:axis], dtype=object))
    return [p.reshape(x, (rows, int(np.prod(x.shape[axis:], dtype=object))))]


@operator("Transpose", since=1)
def transpose(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    order = node.optional_integers("perm")
    if order is None:
        order = tuple(range(len(x.shape)))[::-1]
    if sorted(order) != list(range(len(x.shape))):
        raise OnnxError(
            f"perm is {order!s:.80}, expected an order of {count_of(len(x.shape), 'axis', 'axes')}"
        )
    return [p.view(x, x.array.transpose(order))]


@operator("Squeeze", since=1)
def squeeze(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, axes = inputs[0], given_axes(p, node, inputs, 1)
    if axes is not None:
        axes = axes_of(axes, len(x.shape))
    return [p.view(x, x.array.squeeze(axes))]


@operator("Unsqueeze", since=1)
def unsqueeze(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, axes = inputs[0], given_axes(p, node, inputs, 1)
    assert axes is not None
    axes = axes_of(axes, len(x.shape) + len(axes))
    return [p.view(x, np.expand_dims(x.array, axes))]


@operator("Expand", since=8)
def expand(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, wanted = inputs[0], p.need_ints(inputs[1], "shape")
    p.budget.take(wanted, x.dtype, count=False)
    shape = np.broadcast_shapes(x.shape, wanted)
    p.budget.take(shape, x.dtype, count=False)
    return [p.view(x, np.broadcast_to(x.array, shape))]


@operator("Tile", since=6)
def tile(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, repeats = inputs[0], p.need_ints(inputs[1], "repeats")
    if len(repeats) != len(x.shape):
        raise OnnxError(f"{count_of(len(repeats), 'repeat')}, expected {len(x.shape)}")
    if any(r < 0 for r in repeats):
        raise OnnxError(f"repeats are {repeats!s:.80}, expected 0 or more each")
    out = p.new([r * n for r, n in zip(repeats, x.shape, strict=True)], x.dtype)

    def bind() -> list[Call]:
        parts = [n for pair in zip(repeats, x.shape, strict=True) for n in pair]
        one = [n for length in x.shape for n in (1, length)]
        return [copying(out.array.reshape(parts), x.array.reshape(one))]

    p.step((x,), (out,), bind)
    return [out]


@operator("Slice", since=1)
def slices(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x = inputs[0]
    starts = given_axes(p, node, inputs, 1, "starts")
    ends = given_axes(p, node, inputs, 2, "ends")
    axes = given_axes(p, node, inputs, 3)
    assert starts is not None
    assert ends is not None
    axes = axes_of(range(len(starts)) if axes is None else axes, len(x.shape))
    steps = given_axes(p, node, inputs, 4, "steps") or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise OnnxError(
            f"there are {len(starts)} starts, {len(ends)} ends, {len(axes)} axes and {len(steps)} "
            "steps, expected as many of each"
        )
    cut = [slice(None)] * len(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = cut_of(x.shape[axis], start, end, step)
    return [p.view(x, x.array[tuple(cut)])]


def cut_of(size: int, start: int, end: int, step: int) -> slice:
    """Return a slice with the operator's limits: clamped, backward to before the first."""
    if step == 0:
        raise OnnxError("a step is 0")
    start, end = (v + size if v < 0 else v for v in (start, end))
    if step > 0:
        return slice(min(max(start, 0), size), min(max(end, 0), size), step)
    start, end = min(start, size - 1), min(max(end, -1), size - 1)
    if start <= end:
        return slice(0, 0)
    return slice(start, None if end < 0 else end, step)


@operator("Split", since=2)
def split(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, n = inputs[0], len(node.outputs)
    axis = axis_of(node.integer("axis", 0), len(x.shape))
    size, sizes = x.shape[axis], given_axes(p, node, inputs, 1, "split")
    if sizes is None:
        n = node.integer("num_outputs", n)
        each = -(-size // n) if n > 0 else 0
        sizes = (*[each] * (n - 1), size - each * (n - 1))
    if sum(sizes) != size or any(length < 0 for length in sizes) or len(sizes) != n:
        raise OnnxError(f"{n} parts of sizes {sizes!s:.80}, expected sizes that make up {size}")
    found, start = [], 0
    for length in sizes:
        cut = (slice(None),) * axis + (slice(start, start + length),)
        found.append(p.view(x, x.array[cut]))
        start += length
    return found


@operator("Concat", since=4)
def concat(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    axis = axis_of(node.integer("axis"), len(inputs[0].shape))
    if len(inputs) == 1:
        return [inputs[0]]
    shape = list(inputs[0].shape)
    for ref in inputs[1:]:
        rest = [n for k, n in enumerate(ref.shape) if k != axis]
        if len(ref.shape) != len(shape) or rest != shape[:axis] + shape[axis + 1 :]:
            raise OnnxError(f"shapes {inputs[0].shape} and {ref.shape} do not fit on axis {axis}")
    shape[axis] = sum(ref.shape[axis] for ref in inputs)
    out = p.new(shape, inputs[0].dtype)

    def bind() -> list[Call]:
        if sum(ref.array.nbytes for ref in inputs) < SMALL:
            arrays = tuple(ref.array for ref in inputs)
            return [partial(np.concatenate, arrays, axis, out.array)]
        made, start = [], 0
        for ref in inputs:
            cut = (slice(None),) * axis + (slice(start, start + ref.shape[axis]),)
            made.append(copying(out.array[cut], ref.array))
            start += ref.shape[axis]
        return made

    p.step(inputs, (out,), bind)
    return [out]


SMALL = 1 << 16  # bytes, of which one call takes less time than several


@operator("DepthToSpace", since=1)
def depth_to_space(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    b = node.integer("blocksize")
    if len(x.shape) != 4 or b < 1 or x.shape[1] % (b * b):
        raise OnnxError(f"x has shape {x.shape}, expected [N,C*{b * b},H,W]")
    n, c, h, w = x.shape
    first = node.text("mode", "DCR", ("DCR", "CRD")) == "DCR"
    parts = (n, b, b, c // (b * b), h, w) if first else (n, c // (b * b), b, b, h, w)
    cut = p.reshape(x, parts)
    moved = p.view(cut, cut.array.transpose((0, 3, 4, 1, 5, 2) if first else (0, 1, 4, 2, 5, 3)))
    return [p.reshape(moved, (n, c // (b * b), h * b, w * b))]


@operator("SpaceToDepth", since=1)
def space_to_depth(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    b = node.integer("blocksize")
    if len(x.shape) != 4 or b < 1 or x.shape[2] % b or x.shape[3] % b:
        raise OnnxError(f"x has shape {x.shape}, expected [N,C,H*{b},W*{b}]")
    n, c, h, w = x.shape
    cut = p.reshape(x, (n, c, h // b, b, w // b, b))
    first = node.text("mode", "DCR", ("DCR", "CRD")) == "DCR"
    moved = p.view(cut, cut.array.transpose((0, 3, 5, 1, 2, 4) if first else (0, 1, 3, 5, 2, 4)))
    return [p.reshape(moved, (n, c * b * b, h // b, w // b))]
