"""Transposed convolutions: each input element adds its window to the output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastlstm.counts import count_of
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
from fastlstm.onnx.operators.windows import Windows, auto_pad, inner, integers_of, part_before
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out
Bind = Callable[[], list[Call]]


class Placed(NamedTuple):
    """Where each input element adds its window, and which part of that is the output."""

    at: Windows  # over all that windows reach: its input is that, its output the input's elements
    before: tuple[int, ...]  # what is cut off before
    wanted: tuple[int, ...]  # the sizes that are kept


@operator("ConvTranspose", since=1)
def conv_transpose(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """Each input element adds its window to the output."""
    x, w, bias = (*inputs, None)[:3]
    groups, w = check_conv(node, x, w, transposed=True), p.dense(w)
    M = w.shape[1] * groups
    check_bias(bias, M)
    placed = _placed(node, x.shape[2:], w.shape[2:])
    at = placed.at
    if set(at.stride) == {1}:
        return [_by_convolution(p, x, _turned(p, w, groups), bias, placed, groups)]
    at.check_taps()
    N, C = x.shape[:2]
    whole, x = p.scratch((N, M, *at.input), x.dtype), p.dense(x)
    alone = groups == C == M and prod(at.size) <= MOST_GROUPED_TAPS  # each channel by itself
    add = _by_sums(p, x, w, at, whole) if alone else _by_product(p, x, w, at, whole, groups)

    def bind() -> list[Call]:
        made: list[Call] = [partial(whole.fill, 0), *add()]
        if bias is not None:
            b = bias.array.reshape(-1, *(1,) * len(at.size))
            made.append(partial(np.add, whole, b, whole))
        return made

    base = Ref(whole)
    p.step((x, w) if bias is None else (x, w, bias), (base,), bind)
    cuts = tuple(slice(b, b + n) for b, n in zip(placed.before, placed.wanted, strict=True))
    return [p.view(base, inner(whole, cuts))]


def _by_sums(p: Planner, x: Ref, w: Ref, at: Windows, whole: Array) -> Bind:
    """Add to the output of each channel by itself, a place of the windows at a time."""
    term = p.scratch(x.shape, x.dtype)

    def bind() -> list[Call]:
        weights = w.array.reshape(len(w.array), -1)
        made: list[Call] = []
        for k, tap in enumerate(_writable_taps(at, whole)):
            weight = weights[:, k].reshape(-1, *(1,) * len(at.size))
            made.append(partial(np.multiply, x.array, weight, term))
            made.append(partial(np.add, tap, term, tap))
        return made

    return bind


def _by_product(p: Planner, x: Ref, w: Ref, at: Windows, whole: Array, groups: int) -> Bind:
    """Add to the output what one product makes of all windows."""
    (N, C), M = x.shape[:2], whole.shape[1]
    P, K = prod(at.output), prod(at.size)
    rows = p.scratch((N, groups, M // groups * K, P), x.dtype)
    matrix = p.scratch((groups, M // groups * K, C // groups), x.dtype)

    def bind() -> list[Call]:
        fill = copying(matrix, w.array.reshape(groups, C // groups, M // groups * K).swapaxes(1, 2))
        made: list[Call] = []
        if w.constant:
            fill()
        else:
            made.append(fill)
        made.append(multiplying(matrix, x.array.reshape(N, groups, C // groups, P), rows))
        parts = rows.reshape(N, M, K, *at.output)
        for k, tap in enumerate(_writable_taps(at, whole)):
            made.append(partial(np.add, tap, parts[:, :, k], tap))
        return made

    return bind


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
    p: Planner, x: Ref, w: Ref, bias: Ref | None, placed: Placed, groups: int
) -> Ref:
    """With a stride of 1: a plain convolution of what is kept, with the weights turned round."""
    at, wanted = placed.at, placed.wanted
    cuts, pads = [slice(None)] * 2, []
    for k, size in enumerate(at.output):
        reach = (at.size[k] - 1) * at.dilation[k]
        first = reach - placed.before[k]
        last = wanted[k] - size - first + reach
        cuts.append(slice(max(-first, 0), max(size - max(-last, 0), 0)))
        pads.append((max(first, 0), max(last, 0)))
    near = p.view(x, x.array[tuple(cuts)])
    sides = tuple(zip(*pads, strict=True))
    here = at._replace(before=sides[0], after=sides[1], input=near.shape[2:], output=wanted)
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


class Options(NamedTuple):
    """What a node says of each axis."""

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]  # cut off of the output
    after: tuple[int, ...]
    extra: tuple[int, ...]  # added to the output
    wanted: tuple[int, ...] | None  # the output's sizes, if they are given
    auto: str  # how what is cut off is chosen, if it is

    @classmethod
    def of(cls, node: Node, n: int) -> Options:
        """Read those of n axes."""
        stride, dilation = integers_of(node, "strides", n, 1), integers_of(node, "dilations", n, 1)
        pads, extra = integers_of(node, "pads", 2 * n, 0), integers_of(node, "output_padding", n, 0)
        wanted = node.optional_integers("output_shape")
        if wanted is not None:
            if len(wanted) < n:
                raise OnnxError(f"output_shape {wanted!s:.80}, expected {count_of(n, 'size')}")
            wanted = wanted[len(wanted) - n :]
        return cls(stride, dilation, pads[:n], pads[n:], extra, wanted, auto_pad(node))


def _placed(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> Placed:
    """Return where the windows of an input of some `sizes` stand."""
    n = len(sizes)
    options = Options.of(node, n)
    reach = [
        stride * (size - 1) + (k - 1) * dilation + 1
        for stride, size, k, dilation in zip(
            options.stride, sizes, kernel, options.dilation, strict=True
        )
    ]
    full = [r + extra for r, extra in zip(reach, options.extra, strict=True)]
    wanted = _wanted(options, sizes, full)
    before = _before(options, full, wanted)
    if any(size < 1 for size in (*wanted, *sizes)):
        raise OnnxError(f"an output of {wanted!s:.80} of an input of {tuple(sizes)!s:.80}")
    whole = tuple(max(r, b + w) for r, b, w in zip(reach, before, wanted, strict=True))
    zeros = (0,) * n
    at = Windows(tuple(kernel), options.stride, options.dilation, zeros, zeros, whole, tuple(sizes))
    return Placed(at, before, wanted)


def _wanted(options: Options, sizes: Sequence[int], full: Sequence[int]) -> tuple[int, ...]:
    """Return the output's sizes; `full` are those before anything is cut off."""
    if options.wanted is not None:
        return options.wanted
    if options.auto.startswith("SAME"):
        return tuple(size * s for size, s in zip(sizes, options.stride, strict=True))
    cuts = zip(full, options.before, options.after, strict=True)
    return tuple(size - before - after for size, before, after in cuts)


def _before(options: Options, full: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """Return what is cut off before: where the output's size is given, the half of all."""
    if options.auto == "VALID":
        return (0,) * len(wanted)
    if options.auto == "NOTSET" and options.wanted is None:
        return options.before
    total = (max(size - w, 0) for size, w in zip(full, wanted, strict=True))
    return tuple(part_before(t, options.auto) for t in total)
