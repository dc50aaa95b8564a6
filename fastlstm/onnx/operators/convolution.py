"""Convolutions: windows copied side by side, and one product for all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.matrix import multiplying
from fastlstm.onnx.operators.windows import Windows, inner, interior, windows_of
from fastlstm.onnx.plan import Call, Planner, Ref, copying

Inputs = Sequence[Any]  # of `Ref`; None for one that is left out

AT_ONCE = 4 << 20  # bytes of windows copied side by side for all rows of a batch at once
MOST_GROUPED_TAPS = 32  # of a depthwise convolution made by sums, not by products


def check_conv(node: Node, x: Ref, w: Ref, transposed: bool = False) -> int:
    """Check the shapes of input [N,C,...] and weight; return the number of groups."""
    groups = node.integer("group", 1)
    if len(x.shape) < 3 or len(w.shape) != len(x.shape):
        raise OnnxError(f"X and W have shapes {x.shape} and {w.shape}, expected equally many axes")
    C = x.shape[1]
    whole = w.shape[0] if transposed else w.shape[1] * groups
    if groups < 1 or whole != C or w.shape[0] % groups or not prod(w.shape):
        raise OnnxError(
            f"X and W have shapes {x.shape} and {w.shape} with {groups} groups: they do not fit"
        )
    if node.optional_integers("kernel_shape") not in (None, w.shape[2:]):
        raise OnnxError(
            f"kernel_shape is {node.integers('kernel_shape')!s:.80}, expected {w.shape[2:]}"
        )
    return groups


def _check_bias(bias: Ref | None, channels: int) -> None:
    if bias is not None and bias.shape != (channels,):
        raise OnnxError(f"B has shape {bias.shape}, expected ({channels},)")


@operator("Conv", since=1)
def conv(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, w, bias = (*inputs, None)[:3]
    groups, w = check_conv(node, x, w), p.dense(w)
    M = w.shape[0]
    _check_bias(bias, M)
    at = windows_of(node, x.shape[2:], w.shape[2:])
    out = p.new((x.shape[0], M, *at.output), x.dtype)
    add_conv(p, x, w, bias, at, groups, out)
    return [out]


def add_conv(
    p: Planner, x: Ref, w: Ref, bias: Ref | None, at: Windows, groups: int, out: Ref
) -> None:
    """Add the step of a convolution."""
    padded = None
    if at.pads:
        padded = p.scratch((*x.shape[:2], *at.padded), x.dtype)
        padded[...] = 0
    depthwise = groups == x.shape[1] == w.shape[0] and prod(at.size) <= MOST_GROUPED_TAPS
    step = _by_sums if depthwise else _by_product
    bind = step(p, x, w, bias, at, groups, out, padded)
    inputs = (x, w) if bias is None else (x, w, bias)
    p.step(
        inputs,
        (out,),
        bind,
        op="Conv",
        windows=at,
        groups=groups,
        padded=padded,
        weight=w,
        bias=bias,
    )


def _source(x: Ref, at: Windows, padded: Array | None) -> tuple[Array, list[Call]]:
    """Return the padded input, and the call that fills it."""
    if padded is None:
        return x.array, []
    return padded, [copying(interior(at, padded), x.array)]


def _by_product(
    p: Planner, x: Ref, w: Ref, bias: Ref | None, at: Windows, groups: int, out: Ref, padded: Any
) -> Any:
    N, C = x.shape[:2]
    M, P = out.shape[1], prod(at.output)
    K = C // groups * prod(at.size)
    alone = prod(at.size) == 1 and not at.pads and set(at.stride) == {1}
    # The bias is one more row of the product, of windows that hold a one.
    extra = 0 if bias is None or alone else 1
    together = max(N, 1) if N * groups * (K + extra) * P * x.dtype.itemsize <= AT_ONCE else 1
    columns = None
    if not (alone and x.array.flags.c_contiguous):
        columns = p.scratch((together, groups, K + extra, P), x.dtype)
        columns[:, :, K:] = 1
    matrix, fill = _matrix(p, w, bias if extra else None, groups)

    def bind() -> list[Call]:
        source, made = _source(x, at, padded)
        made += fill
        results = out.array.reshape(N, groups, M // groups, P)
        if columns is None:
            made.append(multiplying(matrix, source.reshape(N, groups, K, P), results))
        else:
            windows, into = _grouped(at.view(source), groups), _unfolded(columns, C // groups, at)
            for n in range(0, N, together):
                made.append(copying(into, windows[n : n + together]))
                made.append(multiplying(matrix, columns, results[n : n + together]))
        if bias is not None and not extra:
            b = bias.array.reshape(groups, M // groups, 1)
            made.append(partial(np.add, results, b, results))
        return made

    return bind


def _matrix(p: Planner, w: Ref, bias: Ref | None, groups: int) -> tuple[Array, list[Call]]:
    """Return weights as matrices [g,M/g,K], the bias as one more column, and what fills them.

    Constants are there already; those of the file once for all plans.
    """
    shape = (groups, w.shape[0] // groups, -1)

    def joined(weight: Array) -> Array:
        rows: Array = weight.reshape(shape)
        if bias is None:
            return rows
        return np.concatenate([rows, bias.array.reshape(shape[0], shape[1], 1)], 2)

    if w.constant and (bias is None or bias.constant):
        if bias is not None and w.source != bias.source:
            return joined(w.array), []
        place = None if bias is None else bias.array.__array_interface__["data"][0]
        return p.prepared(w, f"{groups} matrices, bias at {place}", joined).array, []
    matrix = p.scratch((*shape[:2], prod(w.shape[1:]) + (bias is not None)), w.dtype)
    return matrix, [lambda: np.copyto(matrix, joined(w.array))]


def _unfolded(columns: Array, channels: int, at: Windows) -> Array:
    """Return columns [n,g,K+1,P] without the ones as a view [n,g,channels,*size,*output]."""
    n, g, _, P = columns.shape
    sizes, item = (channels, *at.size), columns.itemsize
    inner = tuple(P * item * prod(sizes[k + 1 :]) for k in range(len(sizes)))
    outer = tuple(item * prod(at.output[k + 1 :]) for k in range(len(at.output)))
    return np.lib.stride_tricks.as_strided(
        columns, (n, g, *sizes, *at.output), columns.strides[:2] + inner + outer
    )


def _grouped(windows: Array, groups: int) -> Array:
    """Return windows [n,C,...] as a view [n,g,C/g,...]."""
    n, C = windows.shape[:2]
    step = windows.strides[1]
    return np.lib.stride_tricks.as_strided(
        windows,
        (n, groups, C // groups, *windows.shape[2:]),
        (windows.strides[0], step * (C // groups), *windows.strides[1:]),
        writeable=False,
    )


def _by_sums(
    p: Planner, x: Ref, w: Ref, bias: Ref | None, at: Windows, groups: int, out: Ref, padded: Any
) -> Any:
    """Each channel alone: a sum over the places of a window."""
    term = p.scratch(out.shape, out.dtype)

    def bind() -> list[Call]:
        source, made = _source(x, at, padded)
        taps = at.taps(source)
        ones = (1,) * len(at.size)
        weights = w.array.reshape(groups, -1)
        for k, tap in enumerate(taps):
            into = term if k else out.array
            made.append(partial(np.multiply, tap, weights[:, k].reshape(-1, *ones), into))
            if k:
                made.append(partial(np.add, out.array, term, out.array))
        if bias is not None:
            made.append(partial(np.add, out.array, bias.array.reshape(-1, *ones), out.array))
        return made

    return bind


@operator("ConvTranspose", since=1)
def conv_transpose(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    """Each input element adds its window to the output."""
    x, w, bias = (*inputs, None)[:3]
    groups, w = check_conv(node, x, w, transposed=True), p.dense(w)
    N, C = x.shape[:2]
    M = w.shape[1] * groups
    _check_bias(bias, M)
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
