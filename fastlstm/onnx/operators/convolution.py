"""Convolutions: windows copied side by side, and one product for all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import operator
from fastlstm.onnx.operators.matrix import multiplying
from fastlstm.onnx.operators.windows import Windows, filled, padded_input, windows_of
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

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
            f"X and W have shapes {x.shape} and {w.shape} with {count_of(groups, 'group')}: they "
            "do not fit"
        )
    if node.optional_integers("kernel_shape") not in (None, w.shape[2:]):
        raise OnnxError(
            f"kernel_shape is {node.integers('kernel_shape')!s:.80}, expected {w.shape[2:]}"
        )
    return groups


def check_bias(bias: Ref | None, channels: int) -> None:
    if bias is not None and bias.shape != (channels,):
        raise OnnxError(f"B has shape {bias.shape}, expected ({channels},)")


@operator("Conv", since=1)
def conv(p: Planner, node: Node, inputs: Inputs) -> list[Ref]:
    x, w, bias = (*inputs, None)[:3]
    groups, w = check_conv(node, x, w), p.dense(w)
    M = w.shape[0]
    check_bias(bias, M)
    at = windows_of(node, x.shape[2:], w.shape[2:])
    out = p.new((x.shape[0], M, *at.output), x.dtype)
    add_conv(p, x, w, bias, at, groups, out)
    return [out]


def add_conv(
    p: Planner, x: Ref, w: Ref, bias: Ref | None, at: Windows, groups: int, out: Ref
) -> None:
    """Add the step of a convolution."""
    padded = padded_input(p, x, at)
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
        source, made = filled(x, at, padded)
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
        source, made = filled(x, at, padded)
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
