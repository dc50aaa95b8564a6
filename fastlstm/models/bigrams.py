"""Pairs of neighbouring words as features of a text: what a bag of words knows of order."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastlstm.kernels.rows import Int64Array, check_lengths
from fastlstm.nn.check import check_array, check_dtype, check_ids, check_size
from fastlstm.nn.module import Array, Module, Tape
from fastlstm.nn.parameter import Parameter

FIRST_WORD = 2  # smaller ids stand for padding and for unknown words, as in `fastlstm.text`
# Adam moves an element by about its rate, and a pair is met seldom: without a factor it would
# hardly move in the few epochs that a net takes. On IMDB 2 and 4 learn too slowly, 16 overfits.
SCALE = 8.0
# Odd multipliers of 64 bits; what is stored in a model depends on them.
MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93)


class HashedBigrams(Module):
    """A linear classifier of the pairs of neighbouring words, beside a net.

        y = SCALE / sqrt(P) * sum of the vectors of its P pairs

    A hash of the two ids chooses a row of the table, and pairs that fall into one row share it
    (Weinberger et al. 2009; for text, Joulin et al. 2016). Pairs with padding or an unknown word
    are left out; the sum of a text without pairs is zero.

    Parameters
    ----------
    buckets : rows of the table: some times as many as there are frequent pairs.
    dim : size of a vector: of the logits.
    dtype : float32 or float64.

    Attributes
    ----------
    weight : Parameter [buckets, dim], zeros at first: pairs that training never met say nothing.
        Backward sets its `rows`, not its `grad`.
    """

    def __init__(self, buckets: int, dim: int, *, dtype: DTypeLike = "float32") -> None:
        self.buckets = check_size("buckets", buckets)
        self.dim = check_size("dim", dim)
        self.dtype = check_dtype(dtype)
        self.weight = Parameter(np.zeros((buckets, dim), self.dtype))

    def __call__(self, tokens: ArrayLike, lengths: ArrayLike | None = None) -> Array:
        """Return y [N, dim] of texts given as `TextClassifier` takes them."""
        return self._sum(*self._pairs(tokens, lengths))

    def forward(self, tokens: ArrayLike, lengths: ArrayLike | None = None) -> tuple[Array, Tape]:
        """Return y as above, and the tape."""
        bucket, row, scale = self._pairs(tokens, lengths)
        return self._sum(bucket, row, scale), Tape(self, bucket, row, scale)

    def backward(self, tape: Tape, dy: Array) -> None:
        """Add the gradient of the rows used to ``weight.rows``, given that of y."""
        bucket, row, scale = self._take(tape)
        dy = check_array("dy", dy, self.dtype, (len(scale), self.dim))
        if not len(bucket):
            return
        order = np.argsort(bucket, kind="stable")
        index, starts = np.unique(bucket[order], return_index=True)
        terms = (dy * scale[:, None])[row[order]]
        self.weight.add_rows(index, np.add.reduceat(terms, starts, axis=0))

    def _pairs(
        self, tokens: ArrayLike, lengths: ArrayLike | None
    ) -> tuple[Int64Array, Int64Array, Array]:
        """Return bucket and row of each pair, the rows rising, and the factor of each row."""
        ids = check_ids("tokens", tokens, np.iinfo(np.int64).max, ndim=2)
        word = ids >= FIRST_WORD
        if lengths is not None:
            checked = check_lengths(lengths, ids.shape[1], ids.shape[0])
            word &= np.arange(ids.shape[1]) < checked[:, None]
        row, at = np.nonzero(word[:, :-1] & word[:, 1:])
        bucket = hash_pairs(ids[row, at], ids[row, at + 1], self.buckets)
        count = np.maximum(np.bincount(row, minlength=len(ids)), 1)
        return bucket, row, (SCALE / np.sqrt(count)).astype(self.dtype)

    def _sum(self, bucket: Int64Array, row: Int64Array, scale: Array) -> Array:
        y = np.zeros((len(scale), self.dim), self.dtype)
        if len(bucket):
            starts = np.flatnonzero(np.diff(row, prepend=-1))
            y[row[starts]] = np.add.reduceat(self.weight.data[bucket], starts, axis=0)
        y *= scale[:, None]
        return y


def hash_pairs(first: NDArray[np.integer], second: NDArray[np.integer], buckets: int) -> Int64Array:
    """Return a number from 0 to buckets-1 for each pair, the same ones always and everywhere."""
    one, two, three = (np.uint64(multiplier) for multiplier in MULTIPLIERS)
    mixed = first.astype(np.uint64) * one + second.astype(np.uint64) * two
    mixed = (mixed ^ (mixed >> np.uint64(32))) * three
    found: Int64Array = ((mixed >> np.uint64(32)) % np.uint64(buckets)).astype(np.int64)
    return found
