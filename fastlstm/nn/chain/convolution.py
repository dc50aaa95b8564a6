"""One-dimensional convolution."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from numpy.typing import DTypeLike

from fastlstm.kernels.chain import Convolution, Stage
from fastlstm.nn.chain.part import ChainPart
from fastlstm.nn.check import (
    MOST_SIZE,
    Rng,
    check_choice,
    check_dtype,
    check_flag,
    check_rng,
    check_size,
    refuse_keywords,
)
from fastlstm.nn.init import uniform
from fastlstm.nn.module import described
from fastlstm.nn.parameter import Parameter

PADDING_MODES = ("zeros", "reflect")
MOST_AROUND = 1 << 20  # positions of padding or of the past: more is a mistake, or a damaged file


class Conv1d(ChainPart):
    """Convolution over the positions of a frame, or of a stream; for inference alone.

    As `torch.nn.Conv1d`, with its names and its layout of the weight, but the channels of a
    position stand last: x is [N,P,C] where torch has [N,C,P]. There are no groups and no dilation.

    Parameters
    ----------
    in_channels, out_channels, kernel_size : sizes, at least 1.
    stride : positions from one output to the next.
    padding : positions before a frame and behind it, an integer for both or a pair, up to 2^20. In
        a stream every frame has its own.
    bias : whether to add one.
    padding_mode : "zeros", or "reflect": the positions next to the first and to the last one,
        mirrored.
    context : positions of the past that stand in front of each frame (and before padding), zeros
        before the first one; up to 2^20. With ``kernel_size - stride`` of them and no padding the
        convolution is causal and goes on over the bounds of frames, as if there were none.
    dtype : float32 or float64.
    rng : generator of the first values, uniform in +-1/sqrt(in_channels * kernel_size) as torch's;
        or a seed for one.

    Attributes
    ----------
    weight : Parameter [out_channels, in_channels, kernel_size].
    bias : Parameter [out_channels], or None.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit.
    """

    _fixed = frozenset(
        "in_channels out_channels kernel_size stride padding padding_mode context dtype".split()
    )

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        context: int = 0,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        **unknown: NoReturn,
    ) -> None:
        for name in ("groups", "dilation"):
            if unknown.get(name) == 1:
                del unknown[name]
            elif name in unknown:
                raise ValueError(f"{name} is {unknown[name]!r}, expected 1: there is no other yet")
        if unknown:
            refuse_keywords(self, unknown, type(self))
        self.in_channels = check_size("in_channels", in_channels, most=MOST_SIZE)
        self.out_channels = check_size("out_channels", out_channels, most=MOST_SIZE)
        self.kernel_size = check_size("kernel_size", kernel_size)
        self.stride = check_size("stride", stride)
        self.padding = _pair(padding)
        self.padding_mode = check_choice("padding_mode", padding_mode, PADDING_MODES)
        self.context = check_size("context", context, 0, MOST_AROUND)
        self.dtype = check_dtype(dtype)
        rng, bound = check_rng(rng), 1 / math.sqrt(in_channels * kernel_size)
        shape = (out_channels, in_channels, kernel_size)
        self.weight = Parameter(uniform(shape, bound, self.dtype, rng))
        has_bias = check_flag("bias", bias)
        self.bias = Parameter(uniform(shape[:1], bound, self.dtype, rng)) if has_bias else None
        if not has_bias:
            self._without("bias")

    def extra_repr(self) -> str:
        """Return the sizes and the options that differ from the usual ones."""
        return described(
            self.in_channels,
            self.out_channels,
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
            padding=(self.padding, (0, 0)),
            padding_mode=(self.padding_mode, "zeros"),
            context=(self.context, 0),
            bias=(self.bias is not None, True),
            dtype=(self.dtype, "float32"),
        )

    def stage(self) -> Stage:
        """Return it as a stage of a chain."""
        return Convolution(
            self.weight.data,
            None if self.bias is None else self.bias.data,
            self.stride,
            self.context,
            self.padding,
            self.padding_mode == "reflect",
        )


def _pair(padding: Any) -> tuple[int, int]:
    """Return the padding before and behind a frame."""
    pair = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    if len(pair) != 2:
        raise ValueError(f"padding is {padding!r}, expected a number, or one before and one behind")
    before, behind = (check_size("padding", size, 0, MOST_AROUND) for size in pair)
    return before, behind
