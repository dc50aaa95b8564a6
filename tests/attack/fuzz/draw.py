"""What the calls are made of: layers of every kind, arrays that fit in any memory layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cases import F32, F64, Array, draw_lengths

import fastlstm as fl

Rng = np.random.Generator

KINDS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (fl.LSTM, {}),
    (fl.LSTM, {"proj_size": 1}),
    (fl.PeepholeLSTM, {}),
    (fl.GRU, {}),
    (fl.GRU, {"reset_after": False}),
    (fl.RNN, {}),
    (fl.RNN, {"nonlinearity": "relu"}),
)
CELL_KINDS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (fl.LSTMCell, {}),
    (fl.GRUCell, {}),
    (fl.GRUCell, {"reset_after": False}),
    (fl.RNNCell, {}),
    (fl.RNNCell, {"nonlinearity": "relu"}),
)
# Of products, beside float32: all of them, and those that can be trained in.
LOWER = ("bfloat16", "int8")
TRAINED = ("bfloat16",)
# Around the widths of vectors and tiles, small ones more often.
SIZES = (1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33)


def chance(rng: Rng, one_in: int) -> bool:
    return int(rng.integers(one_in)) == 0


def pick(rng: Rng, values: Sequence[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def size(rng: Rng) -> int:
    return int(pick(rng, SIZES))


def precision(rng: Rng, lower: Sequence[str]) -> str:
    """float32, or one of those as often as that."""
    return str(pick(rng, (*["float32"] * max(1, len(lower)), *lower)))


def dtype_for(rng: Rng, own: dict[str, Any], precision: str) -> Any:
    """float64 of a relu net: near its kink rounding decides, which it does not there in practice.

    Products of lower precision are of float32 alone.
    """
    if precision != "float32":
        return F32
    return F64 if own.get("nonlinearity") == "relu" else pick(rng, (F32, F64))


def layer(rng: Rng, bidirectional: bool = True, lower: Sequence[str] = (), **fixed: Any) -> Any:
    """A recurrent layer with options of its own; its products also in the precisions `lower`."""
    cls, own = pick(rng, KINDS)
    H, options = size(rng), dict(own)
    if "proj_size" in options:
        H = max(H, 2)
        options["proj_size"] = int(rng.integers(1, H))
    options["precision"] = precision(rng, lower)
    options["dtype"] = dtype_for(rng, own, options["precision"])
    options |= {
        "num_layers": pick(rng, (1, 1, 2, 3)),
        "bias": not chance(rng, 4),
        "batch_first": chance(rng, 2),
        "bidirectional": bidirectional and chance(rng, 3),
        "recompute": pick(rng, (0, 0, 1, 2, 3)),
        "learn_state": chance(rng, 4),
        "rng": np.random.default_rng(int(rng.integers(1 << 30))),
    }
    if options["num_layers"] > 1 and chance(rng, 3):
        options["dropout"] = 0.4
    made = cls(size(rng), H, **{**options, **fixed})
    for parameter in made._learned():
        parameter.data[...] = rng.standard_normal(parameter.data.shape)
    return made


def array(rng: Rng, shape: Sequence[int], dtype: Any, scale: float = 1.0) -> Array:
    """Normal numbers in any layout that memory can have: order, steps, offset, read-only."""
    values = (rng.standard_normal(tuple(shape)) * scale).astype(dtype)
    return laid_out(rng, values)


def laid_out(rng: Rng, values: Array) -> Array:
    """The same values somewhere else in memory, in another layout."""
    how = int(rng.integers(7))
    if how == 0 or not values.ndim:
        return values
    if how == 1:
        order = rng.permutation(values.ndim)
        return values.transpose(order).copy().transpose(np.argsort(order))
    if how == 2:
        return np.repeat(values, 2, axis=-1)[..., ::2]
    if how == 3:
        return np.ascontiguousarray(values[::-1])[::-1]
    if how == 4:
        room = np.zeros(values.nbytes + 64, np.uint8)
        moved: Array = room[3 : 3 + values.nbytes].view(values.dtype).reshape(values.shape)
        moved[...] = values
        return moved
    if how == 5:
        values.flags.writeable = False
        return values
    padded: Array = np.full([n + 2 for n in values.shape], np.nan, values.dtype)
    inner = padded[(slice(1, -1),) * values.ndim]
    inner[...] = values
    return inner


def state(rng: Rng, made: Any, N: int | None) -> Any:
    """A state that fits a layer or cell, in a form that it takes, or None."""
    how = int(rng.integers(3))
    if how == 0:
        return None
    K = len(made._suffixes)
    parts = tuple(
        array(rng, (K, width) if N is None else (K, N, width), made.dtype)
        for width in made._state_sizes()
    )
    if how == 1:
        return fl.State(parts)
    return parts if len(parts) > 1 else parts[0]


class Batch:
    """The arguments of a call of a layer, by name, and the sizes they stand for."""

    def __init__(self, rng: Rng, made: Any) -> None:
        self.T = int(rng.integers(1, 6))
        self.N: int | None = None if chance(rng, 6) else int(rng.integers(1, 6))
        outer = self.outer(made)
        self.given: dict[str, Any] = {"x": self._x(rng, made, outer)}
        self.given["state"] = state(rng, made, self.N)
        if self.N is not None and chance(rng, 2):
            lengths: Any = draw_lengths(rng, self.T, self.N)
            form = pick(rng, (np.asarray, list, tuple, np.int32))
            self.given["lengths"] = lengths.astype(np.int32) if form is np.int32 else form(lengths)
        if chance(rng, 3):
            self.given["reset"] = rng.random(outer) < 0.3
            self.given["reset_at"] = pick(rng, ("before", "after"))

    def outer(self, made: Any) -> tuple[int, ...]:
        if self.N is None:
            return (self.T,)
        return (self.N, self.T) if made.batch_first else (self.T, self.N)

    def _x(self, rng: Rng, made: Any, outer: tuple[int, ...]) -> Any:
        if chance(rng, 3):
            U = int(rng.integers(1, 6))
            table = array(rng, (U, made.input_size), made.dtype)
            ids = rng.integers(0, U, outer)
            return fl.Tokens(ids.astype(pick(rng, (np.int64, np.int32, np.uint8))), table)
        return array(rng, (*outer, made.input_size), made.dtype)
