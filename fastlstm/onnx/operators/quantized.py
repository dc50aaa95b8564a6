"""Numbers of 8 bits: rounding to them and back, and products of them.

Products are made in floating point that holds every sum exactly: BLAS has none of integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.convolution import add_conv, check_conv
from fastlstm.onnx.operators.matrix import product, product_shape
from fastlstm.onnx.operators.shape import axis_of
from fastlstm.onnx.operators.windows import windows_of
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out

EXACT_F32 = 1 << 24  # float32 holds all integers up to here


def along(x: Ref, ref: Ref, axis: int) -> tuple[int, ...]:
    """Return the shape in which a scale or a zero point, of all or of an axis, meets x."""
    if ref.array.size == 1:
        return ()
    axis = axis_of(axis, len(x.shape))
    if ref.shape != (x.shape[axis],):
        raise OnnxError(f"a scale has shape {ref.shape}, expected one number or {x.shape[axis]}")
    return (-1,) + (1,) * (len(x.shape) - axis - 1)


def rounded(values: Array, zero: Array, dtype: np.dtype[Any]) -> Array:
    """Return what is nearest among the numbers of an integer dtype, halves to even."""
    limits = np.iinfo(dtype)
    found: Array = np.clip(np.rint(values) + zero, limits.min, limits.max)
    return found


@operator("QuantizeLinear", since=10)
def quantize_linear(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, scale, zero = (*inputs, None)[:3]
    _refuse_blocks(node)
    if zero is None:
        kind = node.integer("output_dtype", 0)
        if kind:
            from fastlstm.onnx.tensors import dtype_of

            zero = p.constant(0, dtype_of(kind))
        else:
            zero = p.constant(0, np.uint8)
    axis, out = node.integer("axis", 1), p.new(x.shape, zero.dtype)
    shapes = along(x, scale, axis), along(x, zero, axis)

    def call() -> None:
        values = x.array / scale.array.reshape(shapes[0])
        offset = zero.array.reshape(shapes[1]).astype(np.int64)
        np.copyto(out.array, rounded(values, offset, zero.dtype), casting="unsafe")

    p.step((x, scale, zero), (out,), lambda: [call])
    return [out]


def _refuse_blocks(node: Node) -> None:
    if node.integer("block_size", 0):
        raise OnnxError(
            f"block_size is {node.integer('block_size')}, expected 0: one scale or an axis"
        )


@operator("DequantizeLinear", since=10)
def dequantize_linear(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, scale, zero = (*inputs, None)[:3]
    _refuse_blocks(node)
    axis, out = node.integer("axis", 1), p.new(x.shape, scale.dtype)
    by = along(x, scale, axis)
    less = () if zero is None else along(x, zero, axis)

    def call() -> None:
        values = x.array.astype(scale.dtype)
        if zero is not None:
            values = values - zero.array.reshape(less).astype(scale.dtype)
        np.multiply(values, scale.array.reshape(by), out.array)

    p.step((x, scale) if zero is None else (x, scale, zero), (out,), lambda: [call])
    return [out]


def dynamic_scale(x: Array) -> tuple[np.float32, int]:
    """Return scale and zero point of uint8 for an array, as `DynamicQuantizeLinear` finds them."""
    low = np.float32(min(x.min(initial=0), 0))
    high = np.float32(max(x.max(initial=0), 0))
    scale = np.float32((high - low) / np.float32(255))
    if scale == 0:
        scale = np.float32(1)
    zero = np.clip(np.rint(np.float32(0) - low / scale), 0, 255)
    return scale, int(zero) if np.isfinite(zero) else 0


def dynamic_quantized(x: Array) -> tuple[Array, np.float32, int]:
    """Return an array as uint8, its scale and its zero point."""
    scale, zero = dynamic_scale(x)
    return np.clip(np.rint(x / scale) + zero, 0, 255), scale, zero


@operator("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    out, scale, zero = p.new(x.shape, np.uint8), p.new((), np.float32), p.new((), np.uint8)

    def call() -> None:
        y, scale.array[...], zero.array[...] = dynamic_quantized(x.array)
        np.copyto(out.array, y, casting="unsafe")

    p.step((x,), (out, scale, zero), lambda: [call])
    return [out, scale, zero]


def exact(K: int, weights: Array | None = None) -> Any:
    """Return the dtype in which sums of K products of 8-bit numbers are exact.

    `weights` [K,M], less their zero points, are one of the two factors, where they are known.
    """
    most = 255 * K if weights is None else int(np.abs(weights).sum(0, np.int64).max(initial=0))
    return np.float32 if 255 * most <= EXACT_F32 else np.float64


def _exact_with(K: int, ref: Ref, zero: Ref | None, columns: Callable[[Array], Array]) -> Any:
    """As `exact` with a matrix, which `columns` makes [K,M], if it is a constant."""
    if not ref.constant or not (zero is None or zero.constant):
        return exact(K)
    weights = ref.array.astype(np.int32)
    if zero is not None:
        weights = weights - zero.array.astype(np.int32)
    return exact(K, columns(weights))


def _shifted(p: Planner, ref: Ref, zero: Ref | None, rows: bool, kind: Any) -> Ref:
    """Return an integer matrix less its zero point, in floating point."""
    out = p.new(ref.shape, kind)
    if zero is None or zero.array.size == 1:
        shape: tuple[int, ...] = ()
    else:
        shape = (*zero.shape, 1) if rows and zero.array.ndim == 1 else zero.shape

    def bind() -> list[Call]:
        made = [copying(out.array, ref.array)]
        if zero is not None:
            made.append(lambda: np.subtract(out.array, zero.array.reshape(shape), out.array))
        return made

    p.step((ref,) if zero is None else (ref, zero), (out,), bind, op="Shift")
    return out


@operator("MatMulInteger", since=10)
def matmul_integer(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    a, b, zero_a, zero_b = (*inputs, None, None)[:4]
    K = a.shape[-1]
    two = len(b.shape) == 2 and (zero_b is None or zero_b.array.ndim < 2)
    kind = _exact_with(K, b, zero_b, lambda matrix: matrix) if two else exact(K)
    a, b = _shifted(p, a, zero_a, True, kind), _shifted(p, b, zero_b, False, kind)
    return [p.copy(product(p, a, b), np.int32)]


@operator("ConvInteger", since=10)
def conv_integer(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, w, zero_x, zero_w = (*inputs, None, None)[:4]
    groups = check_conv(node, x, w)
    if zero_w is not None and zero_w.array.size > 1:
        zero_w = p.reshape(zero_w, (w.shape[0],) + (1,) * (len(w.shape) - 1))
    K = prod(w.shape[1:])
    kind = _exact_with(K, w, zero_w, lambda weights: weights.reshape(-1, K).T)
    x, w = _shifted(p, x, zero_x, False, kind), _shifted(p, w, zero_w, False, kind)
    at = windows_of(node, x.shape[2:], w.shape[2:])
    held = p.new((x.shape[0], w.shape[0], *at.output), kind)
    add_conv(p, x, w, None, at, groups, held)
    return [p.copy(held, np.int32)]


@operator("QLinearMatMul", since=10)
def qlinear_matmul(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    a, scale_a, zero_a, b, scale_b, zero_b, scale_y, zero_y = inputs
    shape = product_shape(a.shape, b.shape)
    kind = exact(a.shape[-1])
    a, b = _shifted(p, a, zero_a, True, kind), _shifted(p, b, zero_b, False, kind)
    out = p.new(shape, zero_y.dtype)
    for ref in (scale_a, scale_b, scale_y, zero_y):
        if ref.array.size != 1:
            raise OnnxError(f"a scale has shape {ref.shape}, expected one number")

    def call() -> None:
        factor = scale_a.array * scale_b.array / scale_y.array
        values = np.matmul(a.array, b.array) * factor.reshape(())
        offset = zero_y.array.astype(np.int64).reshape(())
        np.copyto(out.array, rounded(values, offset, out.dtype), casting="unsafe")

    p.step((a, b, scale_a, scale_b, scale_y, zero_y), (out,), lambda: [call])
    return [out]
