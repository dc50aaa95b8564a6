"""Operators that treat each element alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastlstm.kernels.reference.precision import to_bfloat16
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.linear import followed
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out

ONE_TO_ONE = {
    "Abs": np.absolute,
    "Acos": np.arccos,
    "Acosh": np.arccosh,
    "Asin": np.arcsin,
    "Asinh": np.arcsinh,
    "Atan": np.arctan,
    "Atanh": np.arctanh,
    "BitwiseNot": np.invert,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Exp": np.exp,
    "Floor": np.floor,
    "Log": np.log,
    "Neg": np.negative,
    "Reciprocal": np.reciprocal,
    "Round": np.rint,
    "Sign": np.sign,
    "Sin": np.sin,
    "Sinh": np.sinh,
    "Sqrt": np.sqrt,
    "Tan": np.tan,
    "Tanh": np.tanh,
}
TWO_TO_ONE = {
    "Add": np.add,
    "And": np.logical_and,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
    "Mul": np.multiply,
    "Or": np.logical_or,
    "Sub": np.subtract,
    "Xor": np.logical_xor,
}
COMPARISONS = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}
SEVERAL = {"Max": np.maximum, "Min": np.minimum, "Sum": np.add, "Mean": np.add}


def apply(p: Planner, function: Any, inputs: Sequence[Ref], dtype: Any = None) -> Ref:
    """Add a step of one call of a ufunc."""
    out = p.new(np.broadcast_shapes(*(i.shape for i in inputs)), dtype or inputs[0].dtype)

    def bind() -> list[Call]:
        return [partial(function, *(i.array for i in inputs), out=out.array)]

    p.step(inputs, (out,), bind, function=function)
    return out


def number(value: float, like: Ref) -> Array:
    """Return a number as an array that a ufunc takes at once."""
    return np.asarray(value, like.dtype)


def calls(p: Planner, x: Ref, make: Callable[[Array, Array], list[Call]]) -> list[Ref]:
    """Add a step of several calls, made from the arrays of x and of the result."""
    out = p.like(x)
    p.step((x,), (out,), lambda: make(x.array, out.array))
    return [out]


@operator(*ONE_TO_ONE, since=6)
def one_to_one(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    found = followed(p, node, inputs[0], map="tanh") if node.op == "Tanh" else None
    if found is not None:
        return [found]
    return [apply(p, ONE_TO_ONE[node.op], inputs)]


@operator(*TWO_TO_ONE, since=7)
def two_to_one(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    if node.op == "Add":  # a bias behind a product
        for place in (0, 1):
            found = followed(p, node, inputs[place], place, bias=inputs[1 - place])
            if found is not None:
                return [found]
    return [apply(p, TWO_TO_ONE[node.op], inputs)]


@operator(*COMPARISONS, since=7)
def comparison(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return [apply(p, COMPARISONS[node.op], inputs, bool)]


@operator(*SEVERAL, since=6)
def several(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    function = SEVERAL[node.op]
    out = p.new(np.broadcast_shapes(*(i.shape for i in inputs)), inputs[0].dtype)

    def bind() -> list[Call]:
        made = [copying(out.array, inputs[0].array)]
        made += [partial(function, out.array, i.array, out=out.array) for i in inputs[1:]]
        if node.op == "Mean":
            made.append(partial(np.divide, out.array, number(len(inputs), out), out.array))
        return made

    p.step(inputs, (out,), bind)
    return [out]


@operator("Not", since=1)
def negation(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return [apply(p, np.logical_not, inputs)]


@operator("Div", since=7)
def div(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    kind = inputs[0].dtype.kind
    return [apply(p, np.divide if kind == "f" else truncated, inputs)]


def truncated(a: Array, b: Array, out: Array) -> None:
    """Divide integers as C does, towards zero."""
    np.floor_divide(a, b, out)
    out += (out < 0) & (out * b != a)


@operator("Mod", since=10)
def mod(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return [apply(p, np.fmod if node.integer("fmod", 0) else np.mod, inputs)]


@operator("Pow", since=7)
def power(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, exponent = inputs
    if exponent.constant and exponent.array.size == 1 and exponent.array.ndim <= x.array.ndim:
        known = float(exponent.array.reshape(()))
        if known == 2:
            return [apply(p, np.multiply, (x, x))]
        if known == 0.5 and x.dtype.kind == "f":
            return [apply(p, np.sqrt, (x,))]
    if exponent.dtype == x.dtype and x.dtype.kind == "f":
        return [apply(p, np.power, inputs)]

    def mixed(a: Array, b: Array, out: Array) -> None:
        np.copyto(out, np.power(a.astype(np.float64), b), casting="unsafe")

    return [apply(p, mixed, inputs)]


@operator("BitShift", since=11)
def bit_shift(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    left = node.text("direction", "", ("LEFT", "RIGHT")) == "LEFT"
    return [apply(p, np.left_shift if left else np.right_shift, inputs)]


@operator("IsNaN", since=9)
def is_nan(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return [apply(p, np.isnan, inputs, bool)]


@operator("IsInf", since=10)
def is_inf(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    signs = node.integer("detect_positive", 1) - node.integer("detect_negative", 1)

    def function(x: Array, out: Array) -> None:
        np.isinf(x, out)
        if signs:
            np.logical_and(out, np.signbit(x) == (signs < 0), out)

    if not (node.integer("detect_positive", 1) or node.integer("detect_negative", 1)):
        return [p.constant(np.zeros(inputs[0].shape, bool))]
    return [apply(p, function, inputs, bool)]


# Limits and choices


@operator("Clip", since=6)
def clip(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, low, high = (*inputs, None, None)[:3]
    if node.version < 11:
        low = p.constant(node.number("min", -math.inf), x.dtype)
        high = p.constant(node.number("max", math.inf), x.dtype)
    limits = [(f, ref) for f, ref in ((np.maximum, low), (np.minimum, high)) if ref is not None]
    for _, ref in limits:
        if ref.array.size != 1:
            raise OnnxError(f"a limit has shape {ref.shape}, expected one number")
    if not limits:
        return [x]
    out = p.like(x)

    def bind() -> list[Call]:
        made: list[Call] = []
        for function, ref in limits:
            source = out.array if made else x.array
            made.append(partial(function, source, ref.array.reshape(()), out=out.array))
        return made

    p.step((x, *(ref for _, ref in limits)), (out,), bind)
    return [out]


@operator("Where", since=9)
def where(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    condition, yes, no = inputs
    out = p.new(np.broadcast_shapes(*(i.shape for i in inputs)), yes.dtype)

    def bind() -> list[Call]:
        return [
            partial(np.copyto, out.array, no.array),
            partial(np.copyto, out.array, yes.array, where=condition.array),
        ]

    p.step(inputs, (out,), bind)
    return [out]


# Kinds


@operator("Cast", since=6)
def cast(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    from fastlstm.onnx.tensors import BFLOAT16, dtype_of

    to = node.integer("to")
    if to == BFLOAT16:
        return [_rounded(p, inputs[0])]
    return as_dtype(p, inputs[0], dtype_of(to))


def _rounded(p: Planner, x: Ref) -> Ref:
    """Return a value with each number rounded to a bfloat16, as float32: NumPy has no such type."""
    out = p.new(x.shape, np.float32)

    def bind() -> list[Call]:
        return [lambda: np.copyto(out.array, to_bfloat16(x.array).reshape(x.shape))]

    p.step((x,), (out,), bind)
    return out


@operator("CastLike", since=15)
def cast_like(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return as_dtype(p, inputs[0], inputs[1].dtype)


def as_dtype(p: Planner, x: Ref, dtype: Any) -> list[Ref]:
    return [x if x.dtype == dtype else p.copy(x, dtype)]


@operator("Identity", since=1)
def identity(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return [inputs[0]]


@operator("Dropout", since=7)
def dropout(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """Nothing, as it is in inference."""
    training = (*inputs, None, None)[2]
    if training is not None and bool(p.need(training).any()):
        raise OnnxError("training_mode is true, expected false: there is no training here")
    return [inputs[0], p.constant(np.ones(inputs[0].shape, bool))]
