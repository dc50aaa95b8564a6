"""What convolutions and pools share: where windows stand, and views of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as each_of
from math import prod
from typing import NamedTuple

import numpy as np

from fastlstm.onnx.errors import OnnxError
from fastlstm.onnx.graph import Array, Node

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
    ones, zeros = (1,) * n, (0,) * (2 * n)
    stride, dilation = node.integers("strides", ones), node.integers("dilations", ones)
    pads = node.integers("pads", zeros)
    for name, values, count, least in (
        ("kernel_shape", size, n, 1),
        ("strides", stride, n, 1),
        ("dilations", dilation, n, 1),
        ("pads", pads, 2 * n, 0),
    ):
        if len(values) != count or any(value < least for value in values):
            raise OnnxError(f"{name} {tuple(values)!s:.80}, expected {count} of {least} or more")
    reach = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
    auto = node.text("auto_pad", "NOTSET", ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    if auto.startswith("SAME"):
        wanted = [-(-length // s) for length, s in zip(shape, stride, strict=True)]
        total = [
            max((w - 1) * s + r - length, 0)
            for w, s, r, length in zip(wanted, stride, reach, shape, strict=True)
        ]
        half = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
        pads = (*half, *(t - h for t, h in zip(total, half, strict=True)))
    elif auto == "VALID":
        pads = zeros
    before, after = tuple(pads[:n]), tuple(pads[n:])
    up = bool(node.integer("ceil_mode", 0)) if node.op.endswith("Pool") else False
    output = []
    for k in range(n):
        room = shape[k] + before[k] + after[k] - reach[k]
        count = (-(-room // stride[k]) if up else room // stride[k]) + 1
        if up and (count - 1) * stride[k] >= shape[k] + before[k]:
            count -= 1  # a window that would begin in the padding behind
        if room < 0 or count < 1:
            raise OnnxError(
                f"windows that reach over {reach}, expected no more than {tuple(shape)}"
            )
        output.append(count)
    if up:  # what the last windows need
        after = tuple(
            max(a, (o - 1) * s + r - length - b)
            for a, o, s, r, length, b in zip(
                after, output, stride, reach, shape, before, strict=True
            )
        )
    return Windows(tuple(size), stride, dilation, before, after, tuple(shape), tuple(output))


def interior(w: Windows, padded: Array) -> Array:
    """Return the part of a padded input that is no padding."""
    cuts = (slice(b, b + n) for b, n in zip(w.before, w.input, strict=True))
    return inner(padded, tuple(cuts))


def inner(x: Array, cuts: tuple[slice, ...]) -> Array:
    """Return a part of the last axes of an array."""
    found: Array = x[(slice(None),) * (x.ndim - len(cuts)) + cuts]
    return found
