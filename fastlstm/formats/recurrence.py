"""A recurrent layer as other libraries have it: which outputs it gives, and over which steps.

Letters: N rows, T steps, I features, D directions, U the size of one direction's output.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastlstm import kernels
from fastlstm.formats.steps import Mask, Step
from fastlstm.kernels import Rows
from fastlstm.nn.check import check_choice, check_flag
from fastlstm.nn.module import Array, described
from fastlstm.nn.parameter import Parameter
from fastlstm.nn.pooling import POOLINGS, pool
from fastlstm.nn.recurrent import Recurrent

MERGES = ("concat", "sum", "mul", "ave")


class Recurrence(Step):
    """A recurrent layer over rows [N,T,I] whose valid steps a mask tells, in any places.

    Masked steps keep the state; the output there is that of the valid step before, in the direction
    of the layer, as in Keras.

    Parameters
    ----------
    layer : `LSTM`, `GRU`, `RNN` or any other recurrent layer.
    output : "all" steps; or of each row one vector: "last", "mean", "max", or several of these
        joined by "+", over the valid steps.
    backwards : run from the last step to the first, and give the outputs in that order.
    merge : how two directions become one: "concat", "sum", "mul" or "ave".
    zero_masked : make the outputs of masked steps zero: "last" too, of rows whose last step, in the
        layer's direction, is masked.
    """

    over_steps = True

    def __init__(
        self,
        layer: Recurrent,
        output: str = "all",
        *,
        backwards: bool = False,
        merge: str = "concat",
        zero_masked: bool = False,
    ) -> None:
        if not isinstance(layer, Recurrent):
            raise TypeError(f"layer is a {type(layer).__name__}, expected a recurrent layer")
        names = output.split("+") if isinstance(output, str) else []
        known = names and set(names) <= set(POOLINGS) and len(set(names)) == len(names)
        if output != "all" and not known:
            raise ValueError(f"output is {output!r}, expected 'all' or of {', '.join(POOLINGS)}")
        self.layer, self.output = layer, output
        self.dtype, self.takes = layer.dtype, layer.input_size
        self.backwards = check_flag("backwards", backwards)
        self.merge = check_choice("merge", merge, MERGES)
        self.zero_masked = check_flag("zero_masked", zero_masked)
        if self.backwards and layer.bidirectional:
            raise ValueError("backwards is True, expected False for a layer of two directions")

    def extra_repr(self) -> str:
        """Return the options that differ from the usual ones."""
        return described(
            output=(self.output, "all"),
            backwards=(self.backwards, False),
            merge=(self.merge, "concat"),
            zero_masked=(self.zero_masked, False),
        )

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield those of the layer, under its own names."""
        return self.layer.named_parameters(prefix)

    @property
    def size(self) -> int:
        """How many features come out."""
        directions = self.layer._directions if self.merge == "concat" else 1
        return directions * self.layer._size * len(self.output.split("+"))

    def _read(self, x: Any) -> Any:
        x = super()._read(x)
        if not len(x):  # the layer would tell the shape as it takes it, maybe steps first
            raise ValueError(f"x has shape {x.shape}, expected at least one row")
        return x

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return the outputs, [N,T,F] or [N,F], and the mask of the steps that are left."""
        valid = mask[:, ::-1] if mask is not None and self.backwards else mask
        if self.backwards:
            x = x[:, ::-1]
        lengths = None
        if valid is not None:
            x, lengths = _valid_first(x, valid), valid.sum(axis=1)
        y, h_n = self._outputs(x, lengths)
        if self.output == "all":
            parts = np.split(y, self.layer._directions, axis=-1)
            if valid is not None:
                parts = [
                    _spread(part, valid, reverse, self.zero_masked)
                    for part, reverse in zip(parts, (False, True), strict=False)
                ]
            return self._merged(parts), mask
        if valid is not None and self.zero_masked:
            h_n = np.where(_ends(valid, self.layer._directions), h_n, 0)
        names = tuple(self.output.split("+"))
        rows = Rows(x.shape[1], x.shape[0], lengths)
        backend = kernels.backend(self.layer._backend)
        steps_first = np.ascontiguousarray(y.swapaxes(0, 1))
        features, _ = pool(backend, names, steps_first, h_n, rows)
        merged = [
            self._merged(np.split(part, self.layer._directions, axis=-1))
            for part in np.split(features, len(names), axis=-1)
        ]
        return np.concatenate(merged, axis=-1), None

    def _outputs(self, x: Array, lengths: Any) -> tuple[Array, Array]:
        """Return y [N,T,D*U] and the last states [D,N,U] of the top layer."""
        layer = self.layer
        if layer.batch_first:
            y, state = layer(x, lengths=lengths)
        else:
            y, state = layer(x.swapaxes(0, 1), lengths=lengths)
            y = y.swapaxes(0, 1)
        h_n = state[0] if isinstance(state, tuple) else state
        return y, h_n[-layer._directions :]

    def _merged(self, parts: list[Array]) -> Array:
        if len(parts) == 1:
            return parts[0]
        one, two = parts
        if self.merge == "concat":
            return np.concatenate(parts, axis=-1)
        if self.merge == "mul":
            return np.multiply(one, two)
        total: Array = one + two
        return total / 2 if self.merge == "ave" else total


def _valid_first(x: Array, mask: Any) -> Array:
    """Return x [N,T,I] with the valid steps of each row before the others, in their order."""
    order = np.argsort(~mask, axis=1, kind="stable")
    moved: Array = np.take_along_axis(x, order[..., None], axis=1)
    return moved


def _ends(mask: Any, directions: int) -> Array:
    """Return which rows have their last step of each direction valid, [D,N,1]."""
    found: Array = mask[:, [-1, 0][:directions]].T[..., None]
    return found


def _spread(y: Array, mask: Any, reverse: bool, zero: bool) -> Array:
    """Return outputs of valid steps, which come first in y, at the places where they belong.

    A masked step has that of the valid step before it, of the direction `reverse` after it.
    """
    count = np.cumsum(mask, axis=1)
    place = count - mask if reverse else count - 1
    none = place >= count[:, -1:] if reverse else place < 0
    place = np.clip(place, 0, y.shape[1] - 1)
    spread: Array = np.take_along_axis(y, place[..., None], axis=1)
    spread[(none | ~mask) if zero else none] = 0
    return spread
