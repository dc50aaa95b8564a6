"""Activations, as nodes of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.elementwise import apply, calls, number
from fastlstm.onnx.operators.linear import followed
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out

SELU = 1.67326319217681884765625, 1.05070102214813232421875  # the operator's defaults


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
    """max(x, 0) + slope * min(x, 0); of slopes above 0 to 1 that is max(x, slope * x).

    Of a slope of 0 it is not: 0 times infinity is NaN.
    """
    x, slope = inputs
    if np.broadcast_shapes(x.shape, slope.shape) != x.shape:
        raise OnnxError(f"slope has shape {slope.shape}, expected one that extends to {x.shape}")
    usual = slope.constant and bool(((slope.array > 0) & (slope.array <= 1)).all())
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

    def function(x: Array, out: Array) -> None:
        out[...] = 0
        np.copyto(out, x, where=x > alpha)

    return [apply(p, function, inputs)]


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
