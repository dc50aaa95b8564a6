"""State: what a recurrent layer carries from one call to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastlstm.counts import count_of
from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import check_array, check_dtype, check_ids
from fastlstm.nn.module import Array


class State(tuple[Array, ...]):
    """The states of a recurrent layer: ``(h,)``, of an LSTM ``(h, c)``; a tuple of arrays.

    Each array is [K,N,...], K = num_layers * directions, and row n of it belongs to row n of the
    batch; of a sequence without a batch axis it is [K,...]. The arrays may be written to: a
    layer copies what it is given and keeps none of what it returns. The methods raise TypeError,
    ValueError or IndexError for an argument that does not fit.

    Parameters
    ----------
    parts : float32 or float64 arrays of one dtype, equal in shape up to their last axis.

    Raises
    ------
    TypeError, ValueError
        If the parts do not fit, or there is none.
    """

    __slots__ = ()

    def __new__(cls, parts: Iterable[Array]) -> State:
        self = super().__new__(cls, parts)
        if not self:
            raise ValueError("parts is empty, expected at least one array")
        first = self[0]
        if not isinstance(first, np.ndarray) or first.ndim not in (2, 3):
            raise TypeError(f"parts[0] is {_told(first)}, expected an array of 2 or 3 axes")
        check_dtype(first.dtype)
        for i, part in enumerate(self[1:], 1):
            if not isinstance(part, np.ndarray):
                raise TypeError(f"parts[{i}] is {_told(part)}, expected an array of {first.dtype}")
            if part.dtype != first.dtype:
                raise TypeError(f"parts[{i}] has dtype {part.dtype}, expected {first.dtype}")
            check_array(f"parts[{i}]", part, first.dtype, (*first.shape[:-1], None))
        return self

    @classmethod
    def zeros(cls, *shapes: tuple[int, ...], dtype: DTypeLike = "float32") -> State:
        """Return a state of zeros, one array for each shape."""
        return cls(np.zeros(shape, check_dtype(dtype)) for shape in shapes)

    @property
    def h(self) -> Array:
        """The output's state, [K,N,H] (with a projection its size in place of H)."""
        return self[0]

    @property
    def c(self) -> Array:
        """The cell state, [K,N,H]."""
        if len(self) < 2:
            raise AttributeError("this state has no c: only that of an LSTM has")
        return self[1]

    @property
    def batch_size(self) -> int:
        """N."""
        if self[0].ndim != 3:
            raise ValueError(f"state has arrays of shape {self[0].shape}, expected a batch axis")
        return int(self[0].shape[1])

    def copy(self) -> State:
        """Return a state with copies of the arrays."""
        return State(part.copy() for part in self)

    def gather(self, rows: ArrayLike) -> State:
        """Return copies of some rows, in that order and as often as they are named.

        `rows` are one row number, several, or bool [N], as in the methods below.
        """
        index = self._index(rows)
        return State(part[:, index] for part in self)

    def scatter(self, rows: ArrayLike, state: Sequence[Array]) -> None:
        """Write the rows of another state, [K,len(rows),...] each, in place of `rows`.

        Raises
        ------
        TypeError, ValueError, IndexError
            If a row is named twice or is out of range, or `state` does not fit.
        """
        index = self._index(rows)
        if len(np.unique(index)) < len(index):
            raise ValueError(f"rows is {index.tolist()}, expected each row once")
        for part, value in zip(self, self._like("state", state, (len(index),)), strict=True):
            part[:, index] = value

    def reset(self, rows: ArrayLike | None = None, to: Sequence[Array] | None = None) -> None:
        """Set rows to zero, or to their initial state.

        Parameters
        ----------
        rows : as for `gather`; None for all.
        to : the initial state, of N rows or of one for all; with `learn_state` that is
            ``layer.make_state()``. None for zeros.
        """
        index = np.arange(self.batch_size) if rows is None else self._index(rows)
        if to is None:
            for part in self:
                part[:, index] = 0
            return
        for part, value in zip(self, self._like("to", to, (1, self.batch_size)), strict=True):
            part[:, index] = np.broadcast_to(value, part.shape)[:, index]

    def _index(self, rows: ArrayLike) -> NDArray[np.int64]:
        return row_numbers(rows, self.batch_size)

    def _like(self, name: str, state: Sequence[Array], rows: tuple[int, ...]) -> Sequence[Array]:
        """Return `state`, checked to fit this one and to have one of these numbers of rows."""
        if not isinstance(state, (tuple, list)) or len(state) != len(self):
            raise TypeError(
                f"{name} is {_told(state)}, expected a State of {count_of(len(self), 'array')}"
            )
        first = any_array(f"{name}[0]", state[0])
        many = first.shape[1] if first.ndim == 3 else None
        number = many if many in rows else rows[-1]
        return [
            check_array(f"{name}[{i}]", value, part.dtype, (len(part), number, part.shape[2]))
            for i, (value, part) in enumerate(zip(state, self, strict=True))
        ]


def row_numbers(rows: ArrayLike, N: int) -> NDArray[np.int64]:
    """Return rows of N, as a user may give them, as numbers in 0..N-1."""
    array = np.atleast_1d(any_array("rows", rows))
    if array.dtype == bool:
        if array.shape != (N,):
            raise ValueError(f"rows has shape {array.shape}, expected ({N},) of a bool array")
        return np.flatnonzero(array).astype(np.int64, copy=False)
    if array.shape == (0,):
        return np.zeros(0, np.int64)
    return check_ids("rows", array, N, 1).astype(np.int64)


def read_states(
    name: str,
    given: Any,
    names: tuple[str, ...],
    shapes: Sequence[tuple[int, ...]],
    dtype: np.dtype[Any],
) -> list[Array]:
    """Return copies of the states `names` that a user gave, C-contiguous; zeros for a None.

    One state is given as an array or a `State`, several as a tuple or a `State`. TypeError or
    ValueError tells what else was given.
    """
    labels = [f"{name}[{i}]" for i in range(len(names))]
    if len(names) == 1 and not isinstance(given, State):
        if not isinstance(given, (np.ndarray, list)):
            raise TypeError(
                f"{name} is {_told(given)}, expected an array of {dtype}, a State or None"
            )
        given, labels = (given,), [name]
    if not isinstance(given, (tuple, list)) or len(given) != len(names):
        kind = "a pair" if len(names) == 2 else "a State"
        raise TypeError(f"{name} is {_told(given)}, expected {kind} ({', '.join(names)}) or None")
    return [
        np.zeros(shape, dtype)
        if part is None
        else np.array(check_array(label, part, dtype, shape), order="C")
        for label, part, shape in zip(labels, given, shapes, strict=True)
    ]


def _told(value: object) -> str:
    """Say what a value is: its type, and how many parts a tuple has."""
    kind = f"a {type(value).__name__}"
    return f"{kind} of {len(value)}" if isinstance(value, (tuple, list)) else kind
