"""Masks of any shape as nodes of ONNX: the valid steps of each row run together.

The same as in `recurrence`. Letters: N rows, T steps, F features; a mask is bool [N,T].
"""

from __future__ import annotations

import numpy as np

from fastlstm.formats.onnx_graph import Graph


def mask_zero(graph: Graph, tokens: str) -> str:
    """Return the mask of the tokens that are not 0."""
    zero = graph.constant("zero", np.array(0, np.int64))
    return graph.node("Not", graph.node("Equal", tokens, zero))


def mask_value(graph: Graph, x: str, value: float) -> tuple[str, str]:
    """Return x with steps of which every feature is `value` made zero, and their mask."""
    equal = graph.node("Equal", x, graph.constant("value", np.array(value, np.float32)))
    all_equal = graph.reduce("Min", graph.cast(equal, np.int32), 2)
    mask = graph.node("Not", graph.cast(all_equal, np.bool_))
    return _where_valid(graph, mask, x), mask


def _where_valid(graph: Graph, mask: str, x: str) -> str:
    wide = graph.node("Unsqueeze", mask, graph.numbers(2))
    return graph.node("Where", wide, x, graph.constant("zero", np.zeros(1, np.float32)))


def masked_mean(graph: Graph, x: str, mask: str) -> str:
    """Return the mean [N,F] of the valid steps, zero where there are none."""
    weight = graph.node("Unsqueeze", graph.cast(mask, np.float32), graph.numbers(2))
    total = graph.reduce("Sum", graph.node("Mul", x, weight), 1)
    count = graph.reduce("Sum", weight, 1)
    return graph.node(
        "Div", total, graph.node("Max", count, graph.constant("one", np.ones(1, np.float32)))
    )


def flip(graph: Graph, x: str) -> str:
    """Return x [N,T,...] with the last step first."""
    end, back = graph.numbers(np.iinfo(np.int64).min), graph.numbers(-1)
    return graph.node("Slice", x, graph.numbers(-1), end, graph.numbers(1), back)


def valid_first(graph: Graph, x: str, mask: str) -> tuple[str, str]:
    """Return x with the valid steps of each row first, and how many they are, int32 [N]."""
    real, steps = graph.cast(mask, np.int64), _steps(graph, mask)
    zero, one = (graph.constant(f"{n}", np.array(n, np.int64)) for n in (0, 1))
    count = graph.node("Range", zero, graph.node("Squeeze", steps), one)
    key = graph.node("Sub", graph.node("Mul", real, steps), count)  # each of them once
    _, order = graph.nodes("TopK", key, steps, outputs=2, axis=1, largest=1, sorted=1)
    lengths = graph.reduce("Sum", real, 1)
    return _taken(graph, x, order), graph.cast(lengths, np.int32)


def spread(graph: Graph, y: str, mask: str, reverse: bool, zero: bool) -> str:
    """Return outputs [N,T,F] of valid steps, which come first in y, where they belong."""
    real = graph.cast(mask, np.int64)
    count = graph.node("CumSum", real, graph.constant("axis", np.array(1, np.int64)))
    least = graph.numbers(0)
    if reverse:
        place = graph.node("Sub", count, real)
        total = graph.reduce("Sum", real, 1, True)
        none = graph.node("Not", graph.node("Less", place, total))
    else:
        place = graph.node("Sub", count, graph.numbers(1))
        none = graph.node("Less", place, least)
    last = graph.node("Sub", _steps(graph, mask), graph.numbers(1))
    inside = graph.node("Min", graph.node("Max", place, least), last)
    valid = graph.node("Not", none)
    if zero:
        valid = graph.node("And", valid, mask)
    return _where_valid(graph, valid, _taken(graph, y, inside))


def zero_ends(graph: Graph, h_n: str, mask: str, directions: int) -> str:
    """Return the last states h_n [D,N,F], zero where the last step of a direction is masked."""
    most, axis = np.iinfo(np.int64).max, graph.numbers(1)
    columns = [(-1, most), (0, 1)][:directions]
    ends = [graph.node("Slice", mask, graph.numbers(a), graph.numbers(b), axis) for a, b in columns]
    both = [graph.node("Unsqueeze", end, graph.numbers(0)) for end in ends]
    wide = both[0] if directions == 1 else graph.node("Concat", *both, axis=0)
    return graph.node("Where", wide, h_n, graph.constant("zero", np.zeros(1, np.float32)))


def _steps(graph: Graph, mask: str) -> str:
    """Return T, int64 [1]."""
    return graph.node("Slice", graph.node("Shape", mask), *(graph.numbers(n) for n in (1, 2, 0)))


def _taken(graph: Graph, x: str, places: str) -> str:
    """Return the steps [N,T] of x [N,T,F]."""
    wide = graph.node("Unsqueeze", places, graph.numbers(2))
    index = graph.node("Expand", wide, graph.node("Shape", x))
    return graph.node("GatherElements", x, index, axis=1)
