"""Normalisations, as they are in inference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.convolution import add_conv
from fastlstm.onnx.operators.shape import axes_of, axis_of
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out


@operator("BatchNormalization", since=7)
def batch_normalization(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """x * scale + shift of each channel; of a convolution before it, in its weights."""
    x, gamma, beta, mean, variance = inputs
    if node.integer("training_mode", 0):
        raise OnnxError("training_mode is 1, expected 0: there is no training here")
    channels = x.shape[1:2] or (1,)
    for name, ref in zip(("scale", "B", "mean", "var"), inputs[1:], strict=True):
        if ref.shape != channels:
            raise OnnxError(f"{name} has shape {ref.shape}, expected {channels}")
    epsilon = node.number("epsilon", 1e-5)
    constant = all(ref.constant for ref in inputs[1:])
    if constant and len(x.shape) > 2:
        scale, shift = _scale_shift(inputs[1:], epsilon)
        found = _into_conv(p, node, x, scale, shift)
        if found is not None:
            return [found]
    shape = (-1,) + (1,) * (len(x.shape) - 2)
    scale = p.scratch(channels, x.dtype)
    shift = p.scratch(channels, x.dtype)
    out = p.like(x)

    def fill() -> None:
        found = _scale_shift(inputs[1:], epsilon)
        np.copyto(scale, found[0], casting="unsafe")
        np.copyto(shift, found[1], casting="unsafe")

    def bind() -> list[Call]:
        made: list[Call] = []
        if constant:
            fill()
        else:
            made.append(fill)
        by, more = (a.reshape(shape) if len(x.shape) > 1 else a for a in (scale, shift))
        made.append(partial(np.multiply, x.array, by, out.array))
        made.append(partial(np.add, out.array, more, out.array))
        return made

    p.step(inputs, (out,), bind)
    return [out]


def _scale_shift(values: Sequence[Ref], epsilon: float) -> tuple[Array, Array]:
    gamma, beta, mean, variance = (ref.array.astype(np.float64) for ref in values)
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def _into_conv(p: Planner, node: Node, x: Ref, scale: Array, shift: Array) -> Ref | None:
    """Return the result of the convolution that made x with other weights, None if there is none.

    The step before is left without a reader, and so out of the plan.
    """
    conv = p.alone(x, node.inputs[0])
    if conv is None or conv.op != "Conv" or conv.outputs[0] is not x:
        return None
    source, weight, bias = conv.inputs[0], conv.attributes["weight"], conv.attributes["bias"]
    if not weight.constant or not (bias is None or bias.constant):
        return None
    by = scale.reshape(-1, *(1,) * (len(weight.shape) - 1))
    before = 0 if bias is None else bias.array * scale
    new_weight, new_bias = (weight.array * by).astype(x.dtype), (before + shift).astype(x.dtype)
    known = [weight, *conv.inputs[2:], *(p.names[name] for name in node.inputs[1:])]
    if all(ref.source for ref in known):  # once for all plans
        bias = p.prepared(weight, f"shifted by {id(node)}", lambda _: new_bias)
        weight = p.prepared(weight, f"scaled by {id(node)}", lambda _: new_weight)
    else:
        weight, bias = p.constant(new_weight), p.constant(new_bias)
    out = p.like(x)
    at, groups = conv.attributes["windows"], conv.attributes["groups"]
    add_conv(p, source, weight, bias, at, groups, out)
    return out


def _normalised(
    x: Array, axes: tuple[int, ...], epsilon: float, dtype: Any
) -> tuple[Array, Array, Array]:
    """Return x with mean 0 and variance 1 over axes, the mean, and what it was divided by."""
    wide = x.astype(dtype, copy=False)
    mean = wide.mean(axes, keepdims=True, dtype=dtype)
    centred = wide - mean
    deviation = np.sqrt((centred * centred).mean(axes, keepdims=True, dtype=dtype) + dtype(epsilon))
    return centred / deviation, mean, 1 / deviation


@operator("LayerNormalization", since=17)
def layer_normalization(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, scale, bias = (*inputs, None)[:3]
    first = axis_of(node.integer("axis", -1), len(x.shape))
    axes, epsilon = tuple(range(first, len(x.shape))), node.number("epsilon", 1e-5)
    small = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
    if not prod(x.shape[first:]):
        raise OnnxError(f"X has shape {x.shape}, expected elements from axis {first} on")
    wide: Any = np.float64 if x.dtype == np.float64 else np.float32
    out, mean, deviation = p.like(x), p.new(small, wide), p.new(small, wide)

    def call() -> None:
        y, mean.array[...], deviation.array[...] = _normalised(x.array, axes, epsilon, wide)
        y = y.astype(x.dtype, copy=False) * scale.array
        np.copyto(out.array, y if bias is None else y + bias.array, casting="unsafe")

    refs = [ref for ref in (x, scale, bias) if ref is not None]
    if np.broadcast_shapes(*(ref.shape for ref in refs)) != x.shape:
        raise OnnxError(f"Scale has shape {scale.shape}, expected one that extends to {x.shape}")
    p.step(refs, (out, mean, deviation), lambda: [call])
    return [out, mean, deviation]


@operator("InstanceNormalization", since=6)
def instance_normalization(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, scale, bias = inputs
    if len(x.shape) < 3 or not prod(x.shape) or not scale.shape == bias.shape == (x.shape[1],):
        raise OnnxError(
            f"shapes {x.shape}, {scale.shape} and {bias.shape}, expected [N,C,...], [C] and [C]"
        )
    shape, axes = (-1,) + (1,) * (len(x.shape) - 2), tuple(range(2, len(x.shape)))
    epsilon, out = node.number("epsilon", 1e-5), p.like(x)

    def call() -> None:
        y, _, _ = _normalised(x.array, axes, epsilon, x.dtype.type)
        np.copyto(out.array, y * scale.array.reshape(shape) + bias.array.reshape(shape))

    p.step(inputs, (out,), lambda: [call])
    return [out]


@operator("GroupNormalization", since=21)
def group_normalization(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, scale, bias = inputs
    groups, epsilon, out = node.integer("num_groups"), node.number("epsilon", 1e-5), p.like(x)
    if len(x.shape) < 3 or not prod(x.shape) or not scale.shape == bias.shape == (x.shape[1],):
        raise OnnxError(
            f"shapes {x.shape}, {scale.shape} and {bias.shape}, expected [N,C,...], [C] and [C]"
        )
    if groups < 1 or x.shape[1] % groups:
        raise OnnxError(f"num_groups is {groups}, expected a divisor of {x.shape[1]}")
    wide: Any = np.float64 if x.dtype == np.float64 else np.float32
    shape = (-1,) + (1,) * (len(x.shape) - 2)

    def call() -> None:
        parts = x.array.reshape(x.shape[0], groups, -1)
        y = _normalised(parts, (2,), epsilon, wide)[0].reshape(x.shape)
        y = y.astype(x.dtype) * scale.array.reshape(shape) + bias.array.reshape(shape)
        np.copyto(out.array, y)

    p.step(inputs, (out,), lambda: [call])
    return [out]


@operator("RMSNormalization", since=23)
def rms_normalization(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, scale = inputs
    axes = tuple(range(axis_of(node.integer("axis", -1), len(x.shape)), len(x.shape)))
    if not prod(x.shape[k] for k in axes):
        raise OnnxError(f"X has shape {x.shape}, expected elements from axis {axes[0]} on")
    if np.broadcast_shapes(x.shape, scale.shape) != x.shape:
        raise OnnxError(f"scale has shape {scale.shape}, expected one that extends to {x.shape}")
    wide: Any = np.float64 if x.dtype == np.float64 else np.float32
    epsilon, out = wide(node.number("epsilon", 1e-5)), p.new(x.shape, scale.dtype)

    def call() -> None:
        a = x.array.astype(wide, copy=False)
        y = a / np.sqrt((a * a).mean(axes, keepdims=True, dtype=wide) + epsilon)
        np.copyto(out.array, y.astype(x.dtype, copy=False) * scale.array, casting="unsafe")

    p.step(inputs, (out,), lambda: [call])
    return [out]


@operator("MeanVarianceNormalization", since=9)
def mean_variance_normalization(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    axes, out = axes_of(node.integers("axes", (0, 2, 3)), len(x.shape)), p.like(x)
    if not prod(x.shape[k] for k in axes):
        raise OnnxError(f"X has shape {x.shape}, expected elements on axes {axes}")

    def call() -> None:
        centred = x.array - x.array.mean(axes, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axes, keepdims=True))
        np.divide(centred, deviation + x.dtype.type(1e-9), out.array)

    p.step((x,), (out,), lambda: [call])
    return [out]


@operator("LpNormalization", since=1)
def lp_normalization(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    axis, order = axis_of(node.integer("axis", -1), len(x.shape)), node.integer("p", 2)
    if order not in (1, 2):
        raise OnnxError(f"p is {order}, expected 1 or 2")
    out = p.like(x)

    def call() -> None:
        size = np.abs(x.array) if order == 1 else x.array * x.array
        total = size.sum(axis, keepdims=True)
        total = total if order == 1 else np.sqrt(total)
        np.divide(x.array, np.where(total == 0, 1, total), out.array)

    p.step((x,), (out,), lambda: [call])
    return [out]
