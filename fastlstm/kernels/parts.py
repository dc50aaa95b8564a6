"""How the compiled chain makes a convolution: its taps in parts that meet the same positions."""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import numpy as np

from fastlstm.kernels.call import Array
from fastlstm.kernels.chain import Convolution, Placed

MOST_PARTS = 8
# Of the products with padding of zeros: fewer than one in so many are made, as parts cost more.
WORTH = 8


class Part(NamedTuple):
    """Taps that meet positions p0..p1-1 of what goes out.

    Attributes
    ----------
    start : where, in a frame as it stands in memory, the numbers for position 0 begin.
    fold : 1 or -1: of sums or differences of numbers as far from the middle; 0: of all numbers.
    weight : [O,K], K numbers that are neighbours in memory.
    """

    p0: int
    p1: int
    start: int
    fold: int
    weight: Array


class Cut(NamedTuple):
    """The parts of a convolution, and the padding that has to be in memory for them."""

    left: int
    right: int
    parts: list[Part]


def cut(placed: Placed, magnitude: bool) -> Cut:
    """Cut a convolution, one whose magnitude is taken next or not, into parts."""
    conv = placed.stage
    assert isinstance(conv, Convolution)
    taps = np.ascontiguousarray(conv.weight.transpose(0, 2, 1))  # [O,kernel,C], as frames are
    if not conv.reflect and (parts := _without_padding(placed, conv, taps)):
        return Cut(0, 0, parts)
    halves = _fold(taps[:, :, 0]) if magnitude and placed.C == 1 else []
    whole = [(0, taps.reshape(len(taps), -1))]
    return Cut(
        *conv.padding, [Part(0, placed.Q, 0, fold, weight) for fold, weight in halves or whole]
    )


def _without_padding(placed: Placed, conv: Convolution, taps: Array) -> list[Part]:
    """Return the parts that meet no padding; none if there is little to save."""
    left, there = conv.padding[0], conv.context + placed.P

    def met(k: int) -> tuple[int, int]:
        """Return the positions from where to where tap k meets the frame."""
        first, last = left - k, there - 1 + left - k
        return max(0, -(-first // conv.stride)), min(placed.Q, last // conv.stride + 1)

    ranges = [met(k) for k in range(taps.shape[1])]
    products = sum(max(0, p1 - p0) for p0, p1 in ranges)
    groups = [list(group) for _, group in groupby(range(len(ranges)), ranges.__getitem__)]
    if products * WORTH > len(ranges) * placed.Q * (WORTH - 1) or len(groups) > MOST_PARTS:
        return []
    parts = []
    for group in groups:
        p0, p1 = ranges[group[0]]
        if p0 < p1:
            weight = taps[:, group[0] : group[-1] + 1].reshape(len(taps), -1)
            start = (group[0] - left) * placed.C
            parts.append(Part(p0, p1, start, 0, np.ascontiguousarray(weight)))
    return parts


def _fold(taps: Array) -> list[tuple[int, Array]]:
    """Return the halves of a basis [O,K] that is even in its first half and odd in its second.

    That is w[n] = w[K-n], or -w[K-n], as of cosines and sines under a window. To the last bit: then
    nothing is approximated, and what is multiplied is rounded once where it is added.
    """
    K = taps.shape[1]
    even, odd = np.split(taps, 2)
    if K % 2 or K < 4 or odd[:, 0].any():
        return []
    if not (np.array_equal(even[:, 1:], even[:, :0:-1])
            and np.array_equal(odd[:, 1:], -odd[:, :0:-1])):  # fmt: skip
        return []
    first = [even[:, :1]] if even[:, 0].any() else []  # x[0] meets a window's 0, mostly
    return [
        (1, np.concatenate([even[:, 1 : K // 2 + 1], *first], axis=1)),
        (-1, np.ascontiguousarray(odd[:, 1 : K // 2])),
    ]
