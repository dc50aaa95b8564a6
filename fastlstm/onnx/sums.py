"""What the parts of a plan's values are made of: products with constant matrices, and their sums.

Written-out cells are found by it, whichever way a file cuts and joins the matrices of its gates.
N rows, W columns of a whole value, H of a part, K of what is multiplied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from math import prod
from typing import NamedTuple

import numpy as np

from fastlstm.onnx.graph import Array
from fastlstm.onnx.operators.linear import Linear
from fastlstm.onnx.values import Ref, Step

DEEPEST = 8  # additions one on the other


class Columns(NamedTuple):
    """Columns of a value that is [N,W] when all axes but its last are taken as one."""

    root: Ref
    start: int
    size: int

    def within(self, other: Columns) -> Columns:
        """Return the same columns of another value, of the same width as this one's root."""
        return Columns(other.root, other.start + self.start, self.size)


def columns(ref: Ref) -> Columns | None:
    """Return which columns of the value that owns its memory a value is, None if it is no such."""
    whole, part = ref.root.array, ref.array
    if not whole.ndim or not part.ndim or not part.size or not whole.flags.c_contiguous:
        return None
    W, size, item = whole.shape[-1], part.shape[-1], whole.itemsize
    if part.size * W != whole.size * size or part.dtype != whole.dtype:
        return None
    for axis, (n, stride) in enumerate(zip(part.shape, part.strides, strict=True)):
        last = axis == part.ndim - 1
        expected = item if last else W * item * prod(part.shape[axis + 1 : -1])
        if n > 1 and stride != expected:
            return None
    start = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    start, rest = divmod(start, item)
    return Columns(ref.root, start, size) if not rest and 0 <= start <= W - size else None


Spot = tuple[int, int, int]  # address, columns, and numbers in all


def spot(ref: Ref) -> Spot | None:
    """Return where the numbers of a value are, None if they are not in one piece of memory."""
    array = ref.array
    if not array.ndim or not array.size or not array.flags.c_contiguous:
        return None
    return array.__array_interface__["data"][0], array.shape[-1], array.size


class Term(NamedTuple):
    """x @ weight + bias, or a bias alone."""

    x: Ref | None
    weight: Array | None  # [K,H], a view of a constant
    bias: Array | None  # [H]
    constants: tuple[Ref, ...]

    @property
    def source(self) -> Spot | None:
        """Where x is; None if a kernel cannot read it there, or there is none."""
        return None if self.x is None else spot(self.x)


class Sum(NamedTuple):
    """Terms, and products of two values element by element."""

    terms: list[Term]
    products: list[tuple[Ref, Ref]]


class Gate(NamedTuple):
    """What an activation sees; `map` is its name if it is a part of the product before it."""

    part: Columns
    map: str


class Values:
    """Who makes and who reads the values of a plan."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.makers = {ref.root: step for step in steps for ref in step.outputs}
        self._readers: dict[Ref, list[Step]] = {}
        for step in steps:
            for root in {ref.root for ref in step.inputs}:
                self._readers.setdefault(root, []).append(step)

    def readers(self, ref: Ref) -> Sequence[Step]:
        """Return the steps that read a value or a part of it."""
        return self._readers.get(ref.root, ())

    def maker(self, ref: Ref, *ops: str) -> Step | None:
        """Return the step of a kind that made a value: all of it, and in this order."""
        step = self.makers.get(ref.root)
        if step is None or step.op not in ops or not ref.array.flags.c_contiguous:
            return None
        return step if step.outputs[0].array.size == ref.array.size else None

    def factors(self, step: Step | None) -> Iterator[tuple[Ref, Ref]]:
        """Yield the two factors of a product in both orders, nothing if it is none."""
        if step is not None and step.op == "Mul" and _pair(step) is not None:
            yield from permutations(step.inputs, 2)

    def gate(self, ref: Ref, op: str) -> Gate | None:
        """Return what the activation sees that made a value, None if another step did."""
        part = columns(ref)
        step = None if part is None else self.makers.get(part.root)
        if step is None or part is None:
            return None
        if step.op == "Linear":
            linear: Linear = step.attributes["linear"]
            return Gate(part, linear.map) if linear.map == op.lower() else None
        if step.op != op or step.inputs[0].shape != step.outputs[0].shape:
            return None
        seen = columns(step.inputs[0])
        return None if seen is None else Gate(part.within(seen), "")

    def sum(self, gate: Gate) -> Sum | None:
        """Return what a gate is the sum of, None if that is not all known."""
        found = Sum([], [])
        return found if self._collect(gate, found, 0) else None

    def _collect(self, gate: Gate, found: Sum, depth: int) -> bool:
        (root, start, size), step = gate.part, self.makers.get(gate.part.root)
        if step is None or depth > DEEPEST:
            return False
        cut = slice(start, start + size)
        if step.op == "Linear":
            linear: Linear = step.attributes["linear"]
            if linear.map != gate.map:
                return False
            bias = None if linear.bias is None else linear.bias.array.reshape(-1)[cut]
            constants = [ref for ref in (linear.weight, linear.bias) if ref is not None]
            found.terms.extend(self._split(linear.x, linear.weight.array[:, cut], bias, constants))
            return True
        pair = _pair(step)
        if pair is None or gate.map:
            return False
        if step.op == "Mul" and cut == slice(0, root.shape[-1]):
            found.products.append(pair)
            return True
        return step.op == "Add" and all(self._add(gate, ref, found, depth) for ref in pair)

    def _add(self, gate: Gate, ref: Ref, found: Sum, depth: int) -> bool:
        (root, start, size), W = gate.part, gate.part.root.shape[-1]
        if ref.constant:
            if ref.array.size not in (1, W) or prod(ref.shape[:-1]) != 1:
                return False
            row = np.broadcast_to(ref.array.reshape(-1), (W,))
            found.terms.append(Term(None, None, row[start : start + size], (ref,)))
            return True
        seen = columns(ref) if ref.array.size == root.array.size else None
        return seen is not None and self._collect(
            Gate(gate.part.within(seen), ""), found, depth + 1
        )

    def _split(
        self, x: Ref, weight: Array, bias: Array | None, constants: Iterable[Ref]
    ) -> Iterator[Term]:
        """Yield the product with each of the values that x is joined of, side by side."""
        held, step = tuple(constants), self.maker(x, "Concat")
        parts, start = [x] if step is None else list(step.inputs), 0
        if sum(part.shape[-1] for part in parts) != x.shape[-1]:
            parts = [x]  # joined on another axis
        for part in parts:
            stop = start + part.shape[-1]
            yield Term(part, weight[start:stop], None if start else bias, held)
            start = stop


def _pair(step: Step) -> tuple[Ref, Ref] | None:
    """Return the two inputs of a step, None unless each is as large as its output or constant."""
    if len(step.inputs) != 2:
        return None
    size = step.outputs[0].array.size
    one, other = step.inputs
    fits = all(ref.array.size == size or ref.constant for ref in (one, other))
    return (one, other) if fits else None
