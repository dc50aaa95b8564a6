"""The hashed pairs of neighbouring words of a classifier as nodes of ONNX; see `HashedBigrams`.

Products wrap at 64 bits, with or without a sign: the numbers are signed where they are multiplied.
"""

from __future__ import annotations

import numpy as np

from fastlstm.formats.onnx_graph import Graph
from fastlstm.models.bigrams import FIRST_WORD, MULTIPLIERS, SCALE, HashedBigrams


def add_bigrams(graph: Graph, layer: HashedBigrams, tokens: str, lengths: str) -> str:
    """Return what the pairs of texts, tokens [N,T], add to their logits."""
    first, second = (_cut(graph, tokens, *ends) for ends in ((0, -1), (1, np.iinfo(np.int64).max)))
    bucket = _hashed(graph, first, second, layer.buckets)
    is_word = _words(graph, tokens, lengths)
    one, other = (_cut(graph, is_word, *ends) for ends in ((0, -1), (1, np.iinfo(np.int64).max)))
    is_pair = graph.cast(graph.node("And", one, other), np.float32)  # [N,T-1]
    vectors = graph.node("Gather", graph.constant("weight", layer.weight.data), bucket)
    kept = graph.node("Mul", vectors, graph.node("Unsqueeze", is_pair, graph.numbers(2)))
    count = graph.node(
        "Max", graph.reduce("Sum", is_pair, 1, True), graph.constant("one", np.ones(1, np.float32))
    )
    scale = graph.node(
        "Div", graph.constant("scale", np.array([SCALE], np.float32)), graph.node("Sqrt", count)
    )
    return graph.node("Mul", graph.reduce("Sum", kept, 1), scale)


def _cut(graph: Graph, x: str, start: int, stop: int) -> str:
    return graph.node("Slice", x, *(graph.numbers(n) for n in (start, stop, 1)))


def _words(graph: Graph, tokens: str, lengths: str) -> str:
    """Return which tokens [N,T] are words of a text."""
    known = graph.node("GreaterOrEqual", tokens, graph.numbers(FIRST_WORD))
    steps = graph.node("Gather", graph.node("Shape", tokens), graph.constant("axis", np.int64(1)))
    zero, one = (graph.constant(f"{n}", np.int64(n)) for n in (0, 1))
    place = graph.node("Range", zero, steps, one)
    column = graph.node("Unsqueeze", graph.cast(lengths, np.int64), graph.numbers(1))
    return graph.node("And", known, graph.node("Less", place, column))


def _hashed(graph: Graph, first: str, second: str, buckets: int) -> str:
    """Return the bucket of each pair, as `hash_pairs` does."""
    one, two, three = (
        graph.constant("multiplier", np.array([m], np.uint64).view(np.int64)) for m in MULTIPLIERS
    )
    mixed = graph.node("Add", graph.node("Mul", first, one), graph.node("Mul", second, two))
    raw = graph.cast(mixed, np.uint64)
    folded = graph.node("BitwiseXor", raw, _high(graph, raw))
    again = graph.node("Mul", graph.cast(folded, np.int64), three)
    number = graph.cast(_high(graph, graph.cast(again, np.uint64)), np.int64)
    return graph.node("Mod", number, graph.numbers(buckets))


def _high(graph: Graph, raw: str) -> str:
    """Return the upper 32 bits."""
    shift = graph.constant("shift", np.array([32], np.uint64))
    return graph.node("BitShift", raw, shift, direction="RIGHT")
