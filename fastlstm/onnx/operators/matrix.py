"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fastlstm.nn.precision import is_for_kernels, products
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.linear import linear, runs
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out


def product_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a product of stacks of matrices; OnnxError if they do not fit."""
    if not a or not b or a[-1] != b[max(len(b) - 2, 0)]:
        raise OnnxError(f"shapes {a} and {b} do not fit: their inner sizes differ")
    front = np.broadcast_shapes(a[:-2], b[:-2])
    return front + (a[-2:-1] if len(a) > 1 else ()) + (b[-1:] if len(b) > 1 else ())


def for_blas(p: Planner, ref: Ref) -> Ref:
    """Return a value whose matrices BLAS reads as they lie, copied if it cannot.

    NumPy multiplies others element by element.
    """
    array = ref.array
    if array.ndim < 2 or array.flags.c_contiguous:
        return ref
    rows, columns = array.shape[-2:]
    row, column = (s // array.itemsize for s in array.strides[-2:])
    by_rows = (column == 1 or columns < 2) and (row >= columns or rows < 2)
    by_columns = (row == 1 or rows < 2) and (column >= rows or columns < 2)
    if ref.constant and not by_rows:  # sooner read so: 18 us for 81 of [5,256] by [256,512]
        return p.prepared(ref, "by rows", np.ascontiguousarray)
    return ref if by_rows or by_columns else p.copy(ref)


def multiplying(a: Array, b: Array, out: Array) -> Call:
    """Return a call that writes a @ b, stacks of matrices, to `out`.

    Of two matrices alone `dot` begins sooner.
    """
    x, y, z = (_alone(array) for array in (a, b, out))
    if x.ndim == y.ndim == z.ndim == 2 and z.dtype.kind == "f" and z.flags.c_contiguous:
        return partial(np.dot, x, y, z)
    return partial(np.matmul, a, b, out)


def layer_product(a: Array, b: Array, out: Array) -> Call:
    """The same, by the kernels where BLAS would share it: its threads would spin beside theirs."""
    x, y, z = (_alone(array) for array in (a, b, out))
    if x.ndim == y.ndim in (2, 3) and x.shape[:-2] == y.shape[:-2] and z.flags.c_contiguous:
        columns = y.swapaxes(-1, -2)
        if is_for_kernels(x, columns):
            return partial(products, x, columns, "float32", out=z)
    return multiplying(a, b, out)


def _alone(array: Array) -> Array:
    """Return an array of one matrix without the axes before it."""
    return array.reshape(array.shape[-2:]) if set(array.shape[:-2]) == {1} else array


@operator("MatMul", since=1, runs=runs)
def matmul(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return [product(p, *inputs)]


def product(p: Planner, a: Ref, b: Ref) -> Ref:
    """Return a @ b."""
    shape = product_shape(a.shape, b.shape)
    native = linear(p, a, b, None) if len(b.shape) == 2 else None
    if native is not None:
        return native
    out = p.new(shape, a.dtype)
    a, b = for_blas(p, a), for_blas(p, b)

    def bind() -> list[Call]:
        x, y, z = a.array, b.array, out.array
        if y.ndim == 2 and x.ndim > 2 and x.flags.c_contiguous:
            # one product in place of a small one for each matrix of a
            x, z = x.reshape(-1, x.shape[-1]), z.reshape(-1, z.shape[-1])
        return [layer_product(x, y, z)]

    p.step((a, b), (out,), bind, op="MatMul")
    return out


@operator("Gemm", since=7, runs=runs)
def gemm(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """alpha * A' B' + beta * C."""
    a, b, c = (*inputs, None)[:3]
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise OnnxError(f"A and B have shapes {a.shape} and {b.shape}, expected two axes each")
    if node.integer("transA", 0):
        a = p.view(a, a.array.T)
    if node.integer("transB", 0):
        b = p.view(b, b.array.T)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if alpha != 1:
        b = scaled(p, b, alpha)
    if c is not None and beta != 1:
        c = scaled(p, c, beta)
    shape = product_shape(a.shape, b.shape)
    if c is not None and np.broadcast_shapes(shape, c.shape) != shape:
        raise OnnxError(f"C has shape {c.shape}, expected one that extends to {shape}")
    native = linear(p, a, b, c)
    if native is not None:
        return [native]
    a, b, out = for_blas(p, a), for_blas(p, b), p.new(shape, a.dtype)

    def bind() -> list[Call]:
        made: list[Call] = [layer_product(a.array, b.array, out.array)]
        if c is not None:
            made.append(partial(np.add, out.array, c.array, out.array))
        return made

    p.step((a, b) if c is None else (a, b, c), (out,), bind)
    return [out]


def scaled(p: Planner, ref: Ref, factor: float) -> Ref:
    """Return a value times a number, laid out as it is."""
    out = Ref(p.scratch(ref.shape[::-1], ref.dtype).T)
    by = np.asarray(factor, ref.dtype)
    p.step((ref,), (out,), lambda: [partial(np.multiply, ref.array, by, out.array)], op="Mul")
    return out
