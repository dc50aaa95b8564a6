"""Padding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.shape import axes_of, given_axes
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out

MODES = ("constant", "reflect", "edge", "wrap")


@operator("Pad", since=2)
def pad(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, value = inputs[0], (*inputs, None, None)[2]
    pads = given_axes(p, node, inputs, 1, "pads")
    assert pads is not None
    axes = axes_of(given_axes(p, node, inputs, 3) or range(len(x.shape)), len(x.shape))
    if len(pads) != 2 * len(axes):
        raise OnnxError(f"{count_of(len(pads), 'pad')}, expected {2 * len(axes)}")
    before, after = [0] * len(x.shape), [0] * len(x.shape)
    for k, axis in enumerate(axes):
        before[axis], after[axis] = pads[k], pads[len(axes) + k]
    x = _cropped(p, x, before, after)
    mode = node.text("mode", "constant", MODES)
    shape = [b + n + a for b, n, a in zip(before, x.shape, after, strict=True)]
    out = p.new(shape, x.dtype)
    if mode != "constant":
        return [_by_index(p, x, out, list(zip(before, after, strict=True)), mode)]
    if value is None:
        value = p.constant(node.number("value", 0.0), x.dtype)
    if value.array.size != 1:
        raise OnnxError(f"the value has shape {value.shape}, expected one number")
    inner = out.array[tuple(slice(b, b + n) for b, n in zip(before, x.shape, strict=True))]

    def border() -> None:
        out.array[...] = value.array.reshape(())

    def bind() -> list[Call]:
        if value.constant:  # stays as it is, run after run
            border()
            return [copying(inner, x.array)]
        return [border, copying(inner, x.array)]

    p.step((x, value), (out,), bind, before=before, after=after, mode=mode)
    return [out]


def _cropped(p: Planner, x: Ref, before: list[int], after: list[int]) -> Ref:
    """Return x without what negative pads take away; they become 0."""
    cuts = []
    for k, n in enumerate(x.shape):
        start, end = max(-before[k], 0), n - max(-after[k], 0)
        if start > end:
            raise OnnxError(f"pads {before[k]} and {after[k]} on an axis of {n}")
        cuts.append(slice(start, end))
        before[k], after[k] = max(before[k], 0), max(after[k], 0)
    return p.view(x, x.array[tuple(cuts)])


def _by_index(p: Planner, x: Ref, out: Ref, pads: list[tuple[int, int]], mode: str) -> Ref:
    """Take each element from where it is repeated: one call, whatever the mode."""
    if not all(n or not (b or a) for n, (b, a) in zip(x.shape, pads, strict=True)):
        raise OnnxError(f"x has shape {x.shape}, expected elements to repeat")
    p.budget.take(out.shape, np.dtype(np.intp))
    p.budget.take(x.shape, np.dtype(np.intp))
    places = np.arange(x.array.size, dtype=np.intp).reshape(x.shape)
    index: Array = np.pad(places, pads, mode)  # type: ignore[call-overload]  # mode is any text
    dense = p.dense(x)

    def bind() -> list[Call]:
        flat = dense.array.reshape(-1)
        return [partial(flat.take, index, None, out.array, "clip")]

    p.step((dense,), (out,), bind, pads=pads, mode=mode)
    return out
