"""Operators that treat each element alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.linear import followed
from fastlstm.onnx.plan import Call, Planner, Ref, copying

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

SELU = 1.67326319217681884765625, 1.05070102214813232421875  # the operator's defaults


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


# Activations


@operator("Relu", since=6)
def relu(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    found = followed(p, node, inputs[0], map="relu")
    if found is not None:
        return [found]
    return calls(p, inputs[0], lambda x, y: [partial(np.maximum, x, number(0, inputs[0]), out=y)])


@operator("LeakyRelu", since=6)
def leaky_relu(p: Planner, node: Node, inputs: Inputs) -> Sequence[Ref]:
    slope = p.constant(node.number("alpha", 0.01), inputs[0].dtype)
    return prelu(p, node, (inputs[0], slope))


@operator("PRelu", since=7)
def prelu(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """max(x, 0) + slope * min(x, 0); of slopes from 0 to 1 that is max(x, slope * x)."""
    x, slope = inputs
    if np.broadcast_shapes(x.shape, slope.shape) != x.shape:
        raise OnnxError(f"slope has shape {slope.shape}, expected one that extends to {x.shape}")
    usual = slope.constant and bool(((slope.array >= 0) & (slope.array <= 1)).all())
    out, low = p.like(x), p.scratch((0,) if usual else x.shape, x.dtype)

    def bind() -> list[Call]:
        if usual:
            return [
                partial(np.multiply, x.array, slope.array, out.array),
                partial(np.maximum, x.array, out.array, out=out.array),
            ]
        zero = number(0, x)
        return [
            partial(np.minimum, x.array, zero, out=low),
            partial(np.multiply, low, slope.array, low),
            partial(np.maximum, x.array, zero, out=out.array),
            partial(np.add, out.array, low, out.array),
        ]

    p.step((x, slope), (out,), bind)
    return [out]


@operator("Elu", "Celu", "Selu", since=6)
def elu(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """gamma * (max(x, 0) + alpha * (exp(min(x, 0) / scale) - 1))."""
    (x,) = inputs
    alpha, gamma, scale = node.number("alpha", 1.0), 1.0, 1.0
    if node.op == "Selu":
        alpha, gamma = node.number("alpha", SELU[0]), node.number("gamma", SELU[1])
    if node.op == "Celu":
        scale = alpha
    high = p.scratch(x.shape, x.dtype)

    def make(a: Array, y: Array) -> list[Call]:
        made: list[Call] = [partial(np.minimum, a, number(0, x), out=y)]
        if scale != 1:
            made.append(partial(np.divide, y, number(scale, x), y))
        made += [
            partial(np.expm1, y, y),
            partial(np.multiply, y, number(alpha, x), y),
            partial(np.maximum, a, number(0, x), out=high),
            partial(np.add, y, high, y),
        ]
        return made + [partial(np.multiply, y, number(gamma, x), y)] * (gamma != 1)

    return calls(p, x, make)


@operator("ThresholdedRelu", since=10)
def thresholded_relu(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    alpha = number(node.number("alpha", 1.0), inputs[0])
    return [apply(p, lambda x, out: np.multiply(x, x > alpha, out), inputs)]


@operator("Sigmoid", since=6)
def sigmoid(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """1 / (1 + exp(-x)); exp may overflow to infinity, which gives the right 0."""
    found = followed(p, node, inputs[0], map="sigmoid")
    if found is not None:
        return [found]
    return calls(p, inputs[0], lambda x, y: sigmoid_calls(x, y))


def sigmoid_calls(x: Array, y: Array) -> list[Call]:
    return [
        partial(np.negative, x, y),
        partial(np.exp, y, y),
        partial(np.add, y, np.asarray(1, y.dtype), y),
        partial(np.reciprocal, y, y),
    ]


@operator("HardSigmoid", "HardSwish", since=6)
def hard_sigmoid(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    (x,) = inputs
    swish = node.op == "HardSwish"
    alpha = 1 / 6 if swish else node.number("alpha", 0.2)
    beta = 0.5 if swish else node.number("beta", 0.5)

    def make(a: Array, y: Array) -> list[Call]:
        made: list[Call] = [
            partial(np.multiply, a, number(alpha, x), y),
            partial(np.add, y, number(beta, x), y),
            partial(np.maximum, y, number(0, x), out=y),
            partial(np.minimum, y, number(1, x), out=y),
        ]
        return made + [partial(np.multiply, y, a, y)] * swish

    return calls(p, x, make)


@operator("Softplus", since=1)
def softplus(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return calls(p, inputs[0], lambda x, y: [partial(np.logaddexp, x, number(0, inputs[0]), y)])


@operator("Softsign", since=1)
def softsign(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    def make(x: Array, y: Array) -> list[Call]:
        one = number(1, inputs[0])
        return [partial(np.absolute, x, y), partial(np.add, y, one, y), partial(np.divide, x, y, y)]

    return calls(p, inputs[0], make)


@operator("Shrink", since=9)
def shrink(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    bias, limit = node.number("bias", 0.0), node.number("lambd", 0.5)

    def function(x: Array, out: Array) -> None:
        shift = np.where(x > limit, -bias, np.where(x < -limit, bias, 0))
        np.copyto(out, np.where(np.abs(x) > limit, x + shift, 0), casting="unsafe")

    return [apply(p, function, inputs)]


@operator("Swish", since=24)
def swish(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """x * sigmoid(alpha * x)."""
    alpha = number(node.number("alpha", 1.0), inputs[0])

    def make(x: Array, y: Array) -> list[Call]:
        first: Call = partial(np.multiply, x, alpha, y)
        return [first, *sigmoid_calls(y, y), partial(np.multiply, y, x, y)]

    return calls(p, inputs[0], make)


@operator("Mish", since=18)
def mish(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """x * tanh(softplus(x))."""

    def make(x: Array, y: Array) -> list[Call]:
        zero = number(0, inputs[0])
        return [
            partial(np.logaddexp, x, zero, y),
            partial(np.tanh, y, y),
            partial(np.multiply, y, x, y),
        ]

    return calls(p, inputs[0], make)


@operator("Erf", since=9)
def erf(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    return [apply(p, erf_of, inputs)]


@operator("Gelu", since=20)
def gelu(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    approximate = node.text("approximate", "none", ("none", "tanh"))

    def exact(x: Array, out: Array) -> None:
        erf_of(x * x.dtype.type(math.sqrt(0.5)), out)
        np.add(out, 1, out)
        np.multiply(out, x, out)
        np.multiply(out, x.dtype.type(0.5), out)

    def by_tanh(x: Array, out: Array) -> None:
        kind = x.dtype.type
        inner = kind(math.sqrt(2 / math.pi)) * (x + kind(0.044715) * x * x * x)
        np.multiply(kind(0.5) * x, 1 + np.tanh(inner), out)

    return [apply(p, exact if approximate == "none" else by_tanh, inputs)]


_erf = np.frompyfunc(math.erf, 1, 1)


def erf_of(x: Array, out: Array) -> None:
    """Write the error function of x to out; to 1.5e-7 in float32, exactly in float64.

    In float32 and below Abramowitz & Stegun 7.1.26, in double precision until the end.
    """
    if x.dtype == np.float64:
        np.copyto(out, _erf(x), casting="unsafe")
        return
    a = np.abs(x, dtype=np.float64)
    t = 1 / (1 + 0.3275911 * a)
    terms = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    poly = reduce(lambda total, term: total * t + term, terms, np.zeros_like(t)) * t
    np.copyto(out, np.copysign(1 - poly * np.exp(-a * a), x), casting="unsafe")


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
    from fastlstm.onnx.tensors import dtype_of

    return as_dtype(p, inputs[0], dtype_of(node.integer("to")))


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
