"""The values and steps that a plan is made of, and the bytes that it may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node

Call = Callable[[], object]
Bind = Callable[[], list[Call]]

GUARD = "Guard"  # a step that checks that a value is what the plan was made for


class Ref:
    """A value of a plan.

    Attributes
    ----------
    array : where it is, or a view of where it is.
    root : the value that owns the memory; itself if it is no view.
    constant : whether it is the same in every run; asked of the root.
    source : whether it is made of the file's constants alone, and so the same in all plans.
    """

    __slots__ = ("_constant", "_source", "array", "root")

    def __init__(
        self, array: Array, root: Ref | None = None, *, constant: bool = False, source: bool = False
    ) -> None:
        self.array, self._constant, self._source = array, constant, source
        self.root: Ref = self if root is None else root.root

    @property
    def constant(self) -> bool:
        return self.root._constant

    @constant.setter
    def constant(self, value: bool) -> None:
        self.root._constant = value

    @property
    def source(self) -> bool:
        return self.root._source

    @source.setter
    def source(self, value: bool) -> None:
        self.root._source = value

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype


@dataclass(eq=False)
class Step:
    """What runs: an operator on values of known shapes.

    Attributes
    ----------
    op : the operator's name, or `GUARD`, "Copy" and the like.
    bind : makes the calls that run it; what is costly (packing) is done there.
    attributes : of the operator, as numbers and arrays, for those who look for a line of steps.
    """

    op: str
    node: Node
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    bind: Bind
    attributes: dict[str, Any] = field(default_factory=dict)


class Mismatch(Exception):
    """A guard met another value than its plan was made for."""

    def __init__(self, place: int, answer: Any) -> None:
        super().__init__(place, answer)
        self.place, self.answer = place, answer


class Budget:
    """The bytes that a plan's arrays may take."""

    def __init__(self, most: int) -> None:
        self.most, self.used = most, 0

    def take(self, shape: Sequence[int], dtype: np.dtype[Any], count: bool = True) -> None:
        """Count an array before it is made; OnnxError if it is too much."""
        if len(shape) > 32 or any(size < 0 for size in shape):
            raise OnnxError(f"an array of shape {tuple(shape)!s:.80} would be made")
        size = prod(shape) * dtype.itemsize
        if size + self.used * count > self.most:
            raise OnnxError(
                f"an array of shape {tuple(shape)!s:.80} of {dtype} would be made: "
                f"{count_of(size, 'byte')} beside {self.used:,}, expected at most {self.most:,} in "
                "all (most_bytes=)"
            )
        self.used += size * count


def copying(out: Array, value: Array) -> Call:
    """Return a call that copies an array into another, whatever their dtypes."""
    if out.dtype == value.dtype:
        return partial(np.copyto, out, value)
    return partial(np.copyto, out, value, casting="unsafe")


def live(steps: Sequence[Step], outputs: Sequence[Ref]) -> list[Step]:
    """Return the steps that the outputs depend on, and the guards."""
    wanted, kept = {ref.root for ref in outputs}, []
    for step in reversed(steps):
        if step.op == GUARD or any(ref.root in wanted for ref in step.outputs):
            wanted.update(ref.root for ref in step.inputs)
            kept.append(step)
    return kept[::-1]
