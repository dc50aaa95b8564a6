"""What convolutions and pools share: where windows stand, and views of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as each_of
from math import prod
from typing import NamedTuple

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call, Ref, copying

MOST_TAPS = 4096  # places of a window that get a call each


class Windows(NamedTuple):
    """Windows over the last axes of an input: one number for each of these axes."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]  # padding
    after: tuple[int, ...]
    input: tuple[int, ...]
    output: tuple[int, ...]

    @property
    def padded(self) -> tuple[int, ...]:
        """Sizes of the input with its padding."""
        sides = zip(self.before, self.input, self.after, strict=True)
        return tuple(max(sum(sizes), 0) for sizes in sides)

    @property
    def pads(self) -> bool:
        """Whether there is padding."""
        return any(self.before) or any(self.after)

    def view(self, x: Array) -> Array:
        """Return the windows of a padded input [...,*padded] as a view [...,*size,*output]."""
        n = len(self.size)
        front, steps = x.shape[: x.ndim - n], x.strides[x.ndim - n :]
        inner = tuple(s * d for s, d in zip(steps, self.dilation, strict=True))
        outer = tuple(s * d for s, d in zip(steps, self.stride, strict=True))
        return np.lib.stride_tricks.as_strided(
            x,
            front + self.size + self.output,
            x.strides[: x.ndim - n] + inner + outer,
            writeable=False,
        )

    def taps(self, x: Array) -> list[Array]:
        """Return, for each place in a window, what all windows have there: views [...,*output]."""
        view = self.view(x)
        at = x.ndim - len(self.size)
        front = (slice(None),) * at
        return [view[front + place] for place in each_of(*(range(n) for n in self.size))]

    def check_taps(self) -> None:
        if prod(self.size) > MOST_TAPS:
            raise OnnxError(f"a window of {self.size}, expected at most {MOST_TAPS} elements")


def windows_of(node: Node, shape: Sequence[int], size: Sequence[int]) -> Windows:
    """Read where the windows of a node stand over the axes of `shape`, those behind [N,C]."""
    n = len(shape)
    if len(size) != n or n < 1:
        raise OnnxError(f"windows of {tuple(size)!s:.80} over axes {tuple(shape)}: they differ")
    _check_integers("kernel_shape", size, n, 1)
    stride, dilation = integers_of(node, "strides", n, 1), integers_of(node, "dilations", n, 1)
    pads = integers_of(node, "pads", 2 * n, 0)
    reach = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
    auto = auto_pad(node)
    if auto.startswith("SAME"):
        pads = _same_pads(shape, stride, reach, auto)
    elif auto == "VALID":
        pads = (0,) * (2 * n)
    before, after = pads[:n], pads[n:]
    up = bool(node.integer("ceil_mode", 0)) if node.op.endswith("Pool") else False
    axes = zip(shape, stride, reach, before, after, strict=True)
    output = tuple(_count(*axis, up) for axis in axes)
    if not all(output):
        raise OnnxError(f"windows that reach over {reach}, expected no more than {tuple(shape)}")
    if up:  # what the last windows need
        ends = ((o - 1) * s + r for o, s, r in zip(output, stride, reach, strict=True))
        given = zip(ends, shape, before, after, strict=True)
        after = tuple(max(a, end - length - b) for end, length, b, a in given)
    return Windows(tuple(size), stride, dilation, before, after, tuple(shape), output)


def _count(length: int, stride: int, reach: int, before: int, after: int, up: bool) -> int:
    """Return how many windows there are along an axis, 0 if it is too short for one."""
    room = before + length + after - reach
    if room < 0:
        return 0
    count = (-(-room // stride) if up else room // stride) + 1
    if up and (count - 1) * stride >= length + before:
        count -= 1  # a window that would begin in the padding behind
    return count


def _same_pads(
    shape: Sequence[int], stride: Sequence[int], reach: Sequence[int], auto: str
) -> tuple[int, ...]:
    """Return the padding, before and then after, for a window at every stride of the input."""
    axes = zip(shape, stride, reach, strict=True)
    total = [max((-(-length // s) - 1) * s + r - length, 0) for length, s, r in axes]
    before = [part_before(t, auto) for t in total]
    return (*before, *(t - b for t, b in zip(total, before, strict=True)))


def part_before(total: int, auto: str) -> int:
    """Return how much of the padding along an axis is before: the half, rounded as `auto` says."""
    return total // 2 if auto == "SAME_UPPER" else total - total // 2


def auto_pad(node: Node) -> str:
    """Return how a node chooses its padding; NOTSET if it does not."""
    return node.text("auto_pad", "NOTSET", ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))


def integers_of(node: Node, name: str, count: int, least: int) -> tuple[int, ...]:
    """Read so many numbers of `least`, which is also their default, or more."""
    values = node.integers(name, (least,) * count)
    _check_integers(name, values, count, least)
    return values


def _check_integers(name: str, values: Sequence[int], count: int, least: int) -> None:
    if len(values) != count or any(value < least for value in values):
        raise OnnxError(f"{name} {tuple(values)!s:.80}, expected {count} of {least} or more")


def padded_input(p: Planner, x: Ref, at: Windows, border: float = 0) -> Array | None:
    """Return an array for x with padding that holds `border`; None where there is none."""
    if not at.pads:
        return None
    padded = p.scratch((*x.shape[:2], *at.padded), x.dtype)
    padded[...] = border
    return padded


def filled(x: Ref, at: Windows, padded: Array | None) -> tuple[Array, list[Call]]:
    """Return x or, filled with it, the array with padding, and the calls that fill that."""
    if padded is None:
        return x.array, []
    return padded, [copying(interior(at, padded), x.array)]


def interior(w: Windows, padded: Array) -> Array:
    """Return the part of a padded input that is no padding."""
    cuts = (slice(b, b + n) for b, n in zip(w.before, w.input, strict=True))
    return inner(padded, tuple(cuts))


def inner(x: Array, cuts: tuple[slice, ...]) -> Array:
    """Return a part of the last axes of an array."""
    found: Array = x[(slice(None),) * (x.ndim - len(cuts)) + cuts]
    return found
