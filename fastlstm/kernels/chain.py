"""Chains: stages that make frames of a signal into others, and how these fit together.

Letters: N rows, P positions of a frame, C channels of a position; what a stage makes has Q
positions of O channels. Arrays are [N,P,C]: the channels of a position are neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastlstm.counts import count_of
from fastlstm.kernels.arguments import plain, read_weights
from fastlstm.kernels.call import DTYPES, Array, Weights
from fastlstm.kernels.masked import refuse_masked
from fastlstm.kernels.spec import CellSpec

MAPS = ("relu", "sigmoid", "tanh", "magnitude")
MOST_BYTES = 1 << 60  # more than there is; sums of a few such still fit in int64


class Convolution(NamedTuple):
    """A convolution over the positions of a frame; with a kernel of 1 a linear layer.

    Attributes
    ----------
    weight : [O,C,kernel].
    bias : [O] or None.
    stride : positions from one product to the next.
    context : positions of the past that stand in front of each frame: zeros before the first one.
    padding : positions before that and behind the frame.
    reflect : whether padding repeats positions, mirrored at the first and at the last one; or it is
        zeros.
    """

    weight: Array
    bias: Array | None = None
    stride: int = 1
    context: int = 0
    padding: tuple[int, int] = (0, 0)
    reflect: bool = False


class Recurrence(NamedTuple):
    """A cell, which makes a step at every position; its state goes on from frame to frame."""

    cell: CellSpec
    weights: Weights


class Map(NamedTuple):
    """One of `MAPS`, of every number; magnitude is sqrt(re^2 + im^2) of the channels' halves."""

    name: str


class Mean(NamedTuple):
    """The mean over the positions of a frame."""


Stage = Convolution | Recurrence | Map | Mean


class ChainSpec(NamedTuple):
    """What a chain is made of.

    Attributes
    ----------
    stages : one after the other.
    frame : P, positions of a frame that comes in.
    channels : C.
    dtype : of all arrays.
    """

    stages: tuple[Stage, ...]
    frame: int
    channels: int
    dtype: str = "float32"

    def copy(self) -> ChainSpec:
        """Return it with copies of all weights."""
        return self._replace(stages=tuple(_copied(stage) for stage in self.stages))


def _copied(stage: Stage) -> Stage:
    if isinstance(stage, Convolution):
        bias = None if stage.bias is None else stage.bias.copy()
        return stage._replace(weight=stage.weight.copy(), bias=bias)
    if isinstance(stage, Recurrence):
        return stage._replace(weights=stage.weights.map(np.copy))
    return stage


class Placed(NamedTuple):
    """A stage, checked, and the sizes of its frames."""

    stage: Stage
    P: int
    C: int
    Q: int
    O: int

    @property
    def states(self) -> Iterator[tuple[str, int]]:
        """What it carries from frame to frame: names, and numbers of a row."""
        if isinstance(self.stage, Convolution) and self.stage.context:
            yield "past", self.stage.context * self.C
        if isinstance(self.stage, Recurrence):
            cell, weights = self.stage
            _, H, R = weights.sizes()
            yield from zip(cell.states, cell.state_sizes(H, R), strict=True)


def read_chain(spec: ChainSpec, batch_size: int) -> list[Placed]:
    """Check that stages fit each other; return them with their sizes, each array C-contiguous.

    Raises
    ------
    TypeError, ValueError
        If a stage is none, or does not fit what comes in: it is named by its number.
    MemoryError
        If no memory could hold the frames.
    """
    stages, P, C, dtype = spec
    if dtype not in [d.name for d in DTYPES]:
        raise ValueError(f"dtype is {dtype!r}, expected float32 or float64")
    if not stages:
        raise ValueError("stages is empty, expected at least one")
    for name, value in (("frame", P), ("channels", C), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} is {value}, expected at least 1")
    placed = []
    for i, stage in enumerate(stages):
        placed.append(_place(f"stages[{i}]", stage, P, C, np.dtype(dtype)))
        P, C = placed[-1].Q, placed[-1].O
    for one in placed:
        _check_size(one, batch_size)
    return placed


def _place(name: str, stage: Stage, P: int, C: int, dtype: np.dtype[Any]) -> Placed:
    if isinstance(stage, Convolution):
        return _place_convolution(name, stage, P, C, dtype)
    if isinstance(stage, Recurrence):
        weights, (I, _, R) = read_weights(stage.cell, stage.weights)
        if weights.w_hh.dtype != dtype:
            raise TypeError(f"{name} has weights of {weights.w_hh.dtype}, expected {dtype}")
        if I != C:
            raise ValueError(f"{name} has an input size of {I}, expected {C}, the channels there")
        return Placed(Recurrence(stage.cell, weights.map(np.ascontiguousarray)), P, C, P, R)
    if isinstance(stage, Mean):
        return Placed(stage, P, C, 1, C)
    if not isinstance(stage, Map) or stage.name not in MAPS:
        raise TypeError(f"{name} is {stage!r}, expected a stage of a chain")
    if stage.name == "magnitude":
        if C % 2:
            raise ValueError(
                f"{name} is a magnitude of {count_of(C, 'channel')}, expected an even number"
            )
        return Placed(stage, P, C, P, C // 2)
    return Placed(stage, P, C, P, C)


def _place_convolution(
    name: str, stage: Convolution, P: int, C: int, dtype: np.dtype[Any]
) -> Placed:
    weight, bias, stride, context, (left, right), reflect = stage
    weight = np.ascontiguousarray(plain(f"{name}.weight", weight, dtype, (None, C, None)))
    O, _, kernel = weight.shape
    if not weight.size:
        raise ValueError(f"{name}.weight has shape {weight.shape}, expected no empty axis")
    if bias is not None:
        bias = np.ascontiguousarray(plain(f"{name}.bias", bias, dtype, (O,)))
    least = {"stride": 1, "context": 0, "padding before": 0, "padding behind": 0}
    for what, value in zip(least, (stride, context, left, right), strict=True):
        if value < least[what]:
            raise ValueError(f"{name} has {what} {value}, expected at least {least[what]}")
    there = context + P
    if reflect and max(left, right) >= there:
        raise ValueError(
            f"{name} has a padding of {(left, right)}, expected less than the "
            f"{count_of(there, 'position')} that it is to be a reflection of"
        )
    length = left + there + right
    if kernel > length:
        raise ValueError(
            f"{name} has a kernel of {kernel}, expected at most {length}: context, frame, padding"
        )
    stage = Convolution(weight, bias, stride, context, (left, right), bool(reflect))
    return Placed(stage, P, C, (length - kernel) // stride + 1, O)


def _check_size(placed: Placed, batch_size: int) -> None:
    """Sizes whose products int64 cannot hold are of no array."""
    stage, P, C, Q, O = placed
    around = 0
    if isinstance(stage, Convolution):
        around = stage.context + sum(stage.padding) + stage.stride
    if 8 * (P + Q + around + 64) * (C + O + 64) * batch_size > MOST_BYTES:
        raise MemoryError(
            f"no memory for frames of {count_of(P, 'position')} with {around} around them, of "
            f"{count_of(C, 'channel')}, in {count_of(batch_size, 'row')}"
        )


def is_finite(stage: Stage) -> bool:
    """Whether the weights that meet what comes in are finite: a 0 then makes 0 of each."""
    if isinstance(stage, Convolution):
        return bool(np.isfinite(stage.weight).all())
    return isinstance(stage, Recurrence) and bool(np.isfinite(stage.weights.w_ih).all())


def state_of(placed: list[Placed]) -> tuple[list[str], list[int]]:
    """Names and sizes of all that a chain carries from frame to frame, "2.h" of its third stage.

    Of a chain that carries nothing there is one of no size, so that a state has its rows.
    """
    found = [(f"{i}.{name}", size) for i, p in enumerate(placed) for name, size in p.states]
    names, sizes = zip(*found or [("nothing", 0)], strict=True)
    return list(names), list(sizes)


def read_signal(
    x: Any, batch_size: int, frame: int, channels: int, dtype: str
) -> tuple[Array, bool]:
    """Return x as a C-contiguous array [N,L,C], and whether it came without its batch axis.

    It may come without that if N is 1, and without its channels if C is 1.

    Raises
    ------
    TypeError
        If x is not an array of `dtype`.
    ValueError
        If x has not that shape, L is no multiple of `frame`, or x masks some of its values.
    """
    if not isinstance(x, np.ndarray):
        raise TypeError(f"x is a {type(x).__name__}, expected a NumPy array of {dtype}")
    if x.dtype != dtype:
        raise TypeError(f"x has dtype {x.dtype}, expected {dtype}")
    refuse_masked("x", x)
    given: Array = np.asarray(x)
    if channels == 1 and (x.ndim == 1 or (x.ndim == 2 and len(x) == batch_size)):
        given = given[..., None]
    single = given.ndim == 2 and batch_size == 1
    if single:
        given = given[None]
    if given.ndim != 3 or len(given) != batch_size or given.shape[2] != channels:
        raise ValueError(f"x has shape {x.shape}, expected ({batch_size}, any, {channels})")
    if given.shape[1] % frame or not given.shape[1]:
        raise ValueError(
            f"x has {count_of(given.shape[1], 'position')} in a row, expected a multiple of the "
            f"frame, {frame}"
        )
    array = np.require(given, requirements=["C", "A"])
    return array, single
