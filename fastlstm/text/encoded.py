"""Many texts as word ids, in one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.counts import count_of
from fastlstm.kernels.masked import refuse_masked
from fastlstm.kernels.rows import any_array

Ints = NDArray[np.int64]

KEEP = ("first", "ends")


@dataclass(frozen=True, eq=False)
class Encoded:
    """Labelled texts of any length in one flat array: N rows, W words in all.

    Row ``n`` is ``tokens[offsets[n]:offsets[n + 1]]``.

    Attributes
    ----------
    tokens : int32 [W], word ids, none negative.
    offsets : int64 [N+1], where each row starts; the first is 0, the last W, none decreasing.
    labels : int64 [N], the class of each row.

    Raises
    ------
    ValueError
        If the arrays do not fit each other as described.
    """

    tokens: NDArray[np.int32]
    offsets: Ints
    labels: Ints

    def __post_init__(self) -> None:
        for name, dtype in (("tokens", np.int32), ("offsets", np.int64), ("labels", np.int64)):
            object.__setattr__(self, name, _integers(name, getattr(self, name), dtype))
        if len(self.offsets) != len(self.labels) + 1:
            raise ValueError(
                f"offsets has {count_of(len(self.offsets), 'entry', 'entries')}, expected one more "
                f"than the {count_of(len(self.labels), 'label')}"
            )
        ends = self.offsets[0], self.offsets[-1]
        if ends != (0, len(self.tokens)) or (np.diff(self.offsets) < 0).any():
            raise ValueError(
                f"offsets must rise from 0 to {len(self.tokens)}, the number of tokens"
            )
        if len(self.tokens) and self.tokens.min() < 0:
            raise ValueError(f"tokens has the id {self.tokens.min()}, expected none below 0")

    @classmethod
    def from_lengths(cls, tokens: ArrayLike, lengths: ArrayLike, labels: ArrayLike) -> Encoded:
        """Build from the number of words of each row instead of offsets; errors as of the class.

        Parameters
        ----------
        tokens : int [W], word ids.
        lengths : int [N], words of each row, which sum to W.
        labels : int [N].
        """
        offsets = _offsets(any_array("lengths", lengths))
        return cls(any_array("tokens", tokens), offsets, any_array("labels", labels))

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]], labels: ArrayLike) -> Encoded:
        """Build from the word ids of each of N rows and the labels, int [N]; errors as above."""
        tokens = np.fromiter(chain.from_iterable(rows), np.int32)
        return cls.from_lengths(tokens, [len(row) for row in rows], labels)

    @classmethod
    def concatenate(cls, parts: Sequence[Encoded]) -> Encoded:
        """Return the rows of several collections of one vocabulary, one after another."""
        parts = [cls.from_rows([], []), *parts]  # concatenate wants at least one
        return cls.from_lengths(
            np.concatenate([part.tokens for part in parts]),
            np.concatenate([part.lengths for part in parts]),
            np.concatenate([part.labels for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Encoded({count_of(len(self), 'row')}, {count_of(len(self.tokens), 'word')})"

    @property
    def lengths(self) -> Ints:
        """Number of words of each row, int64 [N]."""
        return np.diff(self.offsets)

    def row(self, n: int) -> NDArray[np.int32]:
        """Return the word ids of row `n`, a view.

        Raises
        ------
        IndexError
            If `n` is not 0 to N - 1.
        """
        if not 0 <= n < len(self):
            raise IndexError(f"n is {n}, expected 0 to {len(self) - 1}")
        return self.tokens[self.offsets[n] : self.offsets[n + 1]]

    def select(self, index: ArrayLike) -> Encoded:
        """Return the rows of the given numbers, int [M], in that order, or those of a bool [N].

        Raises
        ------
        IndexError
            If a number is out of range.
        """
        rows = _row_numbers(any_array("index", index), len(self))
        lengths = self.lengths[rows]
        tokens = self.tokens[runs(self.offsets[rows], lengths)]
        return Encoded.from_lengths(tokens, lengths, self.labels[rows])

    def truncate(self, max_length: int, keep: str = "first") -> Encoded:
        """Cut each row to at most `max_length` words.

        Parameters
        ----------
        max_length : the most words a row keeps; 0 = no cut.
        keep : "first" words, or both "ends": as many of the first as of the last words, or one
            more where `max_length` is odd.

        Raises
        ------
        ValueError
            If `max_length` is negative or `keep` unknown.
        """
        if max_length < 0:
            raise ValueError(f"max_length is {max_length}, expected 0 (no cut) or more")
        if keep not in KEEP:
            raise ValueError(f"keep is {keep!r}, expected one of {', '.join(map(repr, KEEP))}")
        if max_length == 0:
            return self
        full = self.lengths
        lengths = np.minimum(full, max_length)
        tail = np.where(full > max_length, max_length // 2 if keep == "ends" else 0, 0)
        # Each row becomes two runs: its head and its tail, which may be empty.
        starts = np.stack([self.offsets[:-1], self.offsets[1:] - tail], axis=1)
        sizes = np.stack([lengths - tail, tail], axis=1)
        tokens = self.tokens[runs(starts.ravel(), sizes.ravel())]
        return Encoded.from_lengths(tokens, lengths, self.labels)

    def keep(self, kept: NDArray[np.bool_]) -> Encoded:
        """Return the rows with some of their words only, bool [W]."""
        offsets = np.concatenate([[0], np.cumsum(kept)])[self.offsets]
        return Encoded(self.tokens[kept], offsets, self.labels)

    def limit(self, vocab_size: int, unknown: int = 1) -> Encoded:
        """Replace every id from `vocab_size` on by the id `unknown`."""
        tokens = np.where(self.tokens < vocab_size, self.tokens, np.int32(unknown))
        return Encoded(tokens, self.offsets, self.labels)


def runs(starts: Ints, lengths: Ints) -> Ints:
    """Return ``start, start + 1, ...`` of each run, one run after another: int64 [W]."""
    offsets = _offsets(lengths)
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)


def _offsets(lengths: NDArray[np.integer]) -> Ints:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _row_numbers(index: NDArray[np.generic], count: int) -> Ints:
    if index.dtype == np.bool_ and index.shape == (count,):
        return np.flatnonzero(index)
    rows = _integers("index", index, np.int64)
    if rows.size and (rows.min() < 0 or rows.max() >= count):
        raise IndexError(f"index spans {rows.min()} to {rows.max()}, expected 0 to {count - 1}")
    return rows


def _integers(name: str, value: ArrayLike, dtype: type[np.integer]) -> NDArray[Any]:
    # order="C" copies a broadcast array: too large a one fails here with MemoryError.
    refuse_masked(name, value)
    array = np.asarray(value, order="C")
    if array.ndim != 1 or not (np.issubdtype(array.dtype, np.integer) or array.size == 0):
        raise ValueError(
            f"{name} is {array.ndim}-dimensional of {array.dtype}, expected 1-dimensional integers"
        )
    least, most = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if least < np.iinfo(dtype).min or most > np.iinfo(dtype).max:
        raise ValueError(f"{name} spans {least} to {most}, too wide for {dtype.__name__}")
    return np.ascontiguousarray(array, dtype=dtype)
