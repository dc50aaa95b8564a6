"""Transposed convolutions: each input element adds its window to the output."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.convolution import (
    MOST_GROUPED_TAPS,
    add_conv,
    check_bias,
    check_conv,
)
from fastlstm.onnx.operators.matrix import multiplying
from fastlstm.onnx.operators.windows import Windows, inner
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out


@operator("ConvTranspose", since=1)
def conv_transpose(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """Each input element adds its window to the output."""
    x, w, bias = (*inputs, None)[:3]
    groups, w = check_conv(node, x, w, transposed=True), p.dense(w)
    N, C = x.shape[:2]
    M = w.shape[1] * groups
    check_bias(bias, M)
    at, before = _transposed(node, x.shape[2:], w.shape[2:])
    if set(at.stride) == {1}:
        wanted = _output_sizes(node, x.shape[2:], w.shape[2:])
        return [_by_convolution(p, x, _turned(p, w, groups), bias, at, before, wanted, groups)]
    # `at` is over the whole output, what is cut off included: its windows are the input's elements
    whole = p.scratch((N, M, *at.input), x.dtype)
    P, K = prod(at.output), prod(at.size)
    alone = groups == C == M and K <= MOST_GROUPED_TAPS  # each channel by itself
    rows = p.scratch((0,) if alone else (N, groups, M // groups * K, P), x.dtype)
    matrix = p.scratch((0,) if alone else (groups, M // groups * K, C // groups), x.dtype)
    term = p.scratch(x.shape if alone else (0,), x.dtype)
    shape = _output_sizes(node, x.shape[2:], w.shape[2:])
    cuts = tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))
    at.check_taps()
    dense = p.dense(x)

    def by_sums() -> list[Call]:
        made: list[Call] = [partial(whole.fill, 0)]
        for k, tap in enumerate(_writable_taps(at, whole)):
            weights = w.array.reshape(C, K)[:, k].reshape(C, *(1,) * len(at.size))
            made.append(partial(np.multiply, x.array, weights, term))
            made.append(partial(np.add, tap, term, tap))
        return made

    def by_product() -> list[Call]:
        fill = copying(matrix, w.array.reshape(groups, C // groups, M // groups * K).swapaxes(1, 2))
        made: list[Call] = []
        if w.constant:
            fill()
        else:
            made.append(fill)
        source = dense.array.reshape(N, groups, C // groups, P)
        made.append(multiplying(matrix, source, rows))
        made.append(partial(whole.fill, 0))
        parts = rows.reshape(N, M, K, *at.output)
        for k, tap in enumerate(_writable_taps(at, whole)):
            made.append(partial(np.add, tap, parts[:, :, k], tap))
        return made

    def bind() -> list[Call]:
        made = by_sums() if alone else by_product()
        if bias is not None:
            b = bias.array.reshape(-1, *(1,) * len(at.size))
            made.append(partial(np.add, whole, b, whole))
        return made

    base = Ref(whole)
    p.step((dense, w) if bias is None else (dense, w, bias), (base,), bind)
    return [p.view(base, inner(whole, cuts))]


def _turned(p: Planner, w: Ref, groups: int) -> Ref:
    """Return weights [C,M/g,...] of a transposed convolution as [M,C/g,...] of a plain one."""
    C, channels, *size = w.shape

    def turn(weight: Array) -> Array:
        parts = weight.reshape(groups, C // groups, channels, *size).swapaxes(1, 2)
        return np.flip(parts, tuple(range(3, parts.ndim)))

    shape = (groups * channels, C // groups, *size)
    if w.constant:
        return p.prepared(w, "turned", lambda weight: turn(weight).reshape(shape))
    return p.reshape(p.view(w, turn(w.array)), shape)


def _by_convolution(
    p: Planner,
    x: Ref,
    w: Ref,
    bias: Ref | None,
    at: Windows,
    before: tuple[int, ...],
    wanted: Sequence[int],
    groups: int,
) -> Ref:
    """With a stride of 1: a plain convolution of what is kept, with the weights turned round."""
    cuts, pads = [slice(None)] * 2, []
    for k, size in enumerate(at.output):
        reach = (at.size[k] - 1) * at.dilation[k]
        first = reach - before[k]
        last = wanted[k] - size - first + reach
        cuts.append(slice(max(-first, 0), max(size - max(-last, 0), 0)))
        pads.append((max(first, 0), max(last, 0)))
    near = p.view(x, x.array[tuple(cuts)])
    sides = tuple(zip(*pads, strict=True))
    here = at._replace(before=sides[0], after=sides[1], input=near.shape[2:], output=tuple(wanted))
    out = p.new((x.shape[0], w.shape[0], *wanted), x.dtype)
    add_conv(p, near, w, bias, here, groups, out)
    return out


def _writable_taps(at: Windows, x: Array) -> list[Array]:
    found = []
    for place in np.ndindex(*at.size):
        cut = tuple(
            slice(k * d, k * d + (o - 1) * s + 1, s)
            for k, d, o, s in zip(place, at.dilation, at.output, at.stride, strict=True)
        )
        found.append(inner(x, cut))
    return found


def _transposed(
    node: Node, sizes: Sequence[int], kernel: Sequence[int]
) -> tuple[Windows, tuple[int, ...]]:
    """Return where the windows stand in the whole output, and what is cut off before."""
    n = len(sizes)
    stride, dilation, pads, extra = _transposed_options(node, n)
    wanted = _output_sizes(node, sizes, kernel)
    whole = []
    before = tuple(pads[:n])
    for k in range(n):
        reach = (kernel[k] - 1) * dilation[k] + 1
        need = stride[k] * (sizes[k] - 1) + reach
        whole.append(max(need, before[k] + wanted[k]))
    if node.optional_integers("output_shape") is not None or "auto_pad" in node.attributes:
        before = _auto_before(node, sizes, kernel, wanted, before)
        whole = [max(h, b + w) for h, b, w in zip(whole, before, wanted, strict=True)]
    if any(size < 1 for size in wanted) or any(size < 1 for size in sizes):
        raise OnnxError(f"an output of {tuple(wanted)!s:.80} of an input of {tuple(sizes)!s:.80}")
    zeros = (0,) * n
    at = Windows(tuple(kernel), stride, dilation, zeros, zeros, tuple(whole), tuple(sizes))
    return at, before


def _transposed_options(node: Node, n: int) -> tuple[tuple[int, ...], ...]:
    ones = (1,) * n
    options = (
        ("strides", ones, 1),
        ("dilations", ones, 1),
        ("pads", (0,) * (2 * n), 0),
        ("output_padding", (0,) * n, 0),
    )
    found = []
    for name, default, least in options:
        values = node.integers(name, default)
        if len(values) != len(default) or any(v < least for v in values):
            raise OnnxError(f"{name} {values!s:.80}, expected {len(default)} of {least} or more")
        found.append(values)
    return tuple(found)


def _output_sizes(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> list[int]:
    n = len(sizes)
    stride, dilation, pads, extra = _transposed_options(node, n)
    given = node.optional_integers("output_shape")
    if given is not None:
        if len(given) < n:
            raise OnnxError(f"output_shape {given!s:.80}, expected {n} sizes")
        return list(given[len(given) - n :])
    auto = node.text("auto_pad", "NOTSET", ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    if auto.startswith("SAME"):
        return [size * s for size, s in zip(sizes, stride, strict=True)]
    return [
        stride[k] * (sizes[k] - 1)
        + extra[k]
        + (kernel[k] - 1) * dilation[k]
        + 1
        - pads[k]
        - pads[n + k]
        for k in range(n)
    ]


def _auto_before(
    node: Node,
    sizes: Sequence[int],
    kernel: Sequence[int],
    wanted: Sequence[int],
    before: tuple[int, ...],
) -> tuple[int, ...]:
    """Return what is cut off before where the output's size is given: the half of it."""
    auto = node.text("auto_pad", "NOTSET", ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    if auto == "VALID" or (auto == "NOTSET" and node.optional_integers("output_shape") is None):
        return before if auto == "NOTSET" else (0,) * len(sizes)
    stride, dilation, _, extra = _transposed_options(node, len(sizes))
    found = []
    for k, size in enumerate(sizes):
        total = max(
            stride[k] * (size - 1) + extra[k] + (kernel[k] - 1) * dilation[k] + 1 - wanted[k], 0
        )
        found.append(total // 2 if auto == "SAME_UPPER" else total - total // 2)
    return tuple(found)
