"""Embedding: a table of vectors, its gradient kept for the rows used only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastlstm.kernels import Tokens
from fastlstm.kernels.rows import Int64Array, any_array, check_lengths
from fastlstm.nn.check import (
    MOST_ROWS,
    MOST_SIZE,
    Rng,
    check_array,
    check_dtype,
    check_flag,
    check_ids,
    check_rng,
    check_size,
)
from fastlstm.nn.module import Array, Module, Tape, described
from fastlstm.nn.parameter import Parameter
from fastlstm.nn.ready import ready
from fastlstm.nn.share import as_shared
from fastlstm.nn.sums import sums_at


class Embedding(Module):
    """A vector for each token id.

    Parameters
    ----------
    num_embeddings : ids are 0..num_embeddings-1.
    embedding_dim : size of a vector.
    padding_idx : id whose vector starts at zero and gets no gradient; negative counts from
        the end.
    std : standard deviation of the first values, which are normal; 1 as torch's.
    sparse : keep the gradient of the rows used only. False where another layer shares the table,
        as an output layer with tied weights does.
    dtype : float32 or float64.
    rng : generator of the first values or a seed for one.

    Attributes
    ----------
    weight : Parameter [num_embeddings, embedding_dim]. Backward sets its `rows`, not its
        `grad`; with ``sparse=False`` its `grad`; if it is not trainable, neither.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        std: float = 1.0,
        sparse: bool = True,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        self.num_embeddings = check_size("num_embeddings", num_embeddings, most=MOST_ROWS)
        self.embedding_dim = check_size("embedding_dim", embedding_dim, most=MOST_SIZE)
        self.sparse = check_flag("sparse", sparse)
        self.dtype = check_dtype(dtype)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(
                f"padding_idx is {padding_idx}, "
                f"expected {-num_embeddings} to {num_embeddings - 1} or None"
            )
        self.padding_idx = None if padding_idx is None else int(padding_idx) % num_embeddings
        rng = check_rng(rng)
        if not std >= 0:
            raise ValueError(f"std is {std}, expected 0 or more")
        shape = (num_embeddings, embedding_dim)
        table = (rng.standard_normal(shape) * std).astype(self.dtype) if std else None
        self.weight = Parameter(np.zeros(shape, self.dtype) if table is None else table)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls, embeddings: ArrayLike, freeze: bool = True, padding_idx: int | None = None, *,
        sparse: bool = True,
    ) -> Embedding:  # fmt: skip
        """Return an embedding with given vectors, as torch's method of this name.

        Parameters
        ----------
        embeddings : float [num_embeddings, embedding_dim], finite; copied. What is no float64
            becomes float32.
        freeze : whether the vectors stay as they are; else they are learned.
        padding_idx, sparse : as above; the vector of `padding_idx` is taken as it is given.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is expected.
        """
        table = any_array("embeddings", embeddings)
        if table.ndim != 2 or not table.size:
            raise ValueError(
                f"embeddings has shape {table.shape}, expected (num_embeddings, embedding_dim)"
            )
        dtype = table.dtype if table.dtype == np.float64 else np.dtype(np.float32)
        rows, size = table.shape
        made = cls(rows, size, padding_idx, std=0, sparse=sparse, dtype=dtype)
        made.load_state_dict({"weight": table})
        made.weight.trainable = not check_flag("freeze", freeze)
        return made

    def extra_repr(self) -> str:
        """Return the sizes and the options that differ from the usual ones."""
        return described(
            self.num_embeddings,
            self.embedding_dim,
            padding_idx=(self.padding_idx, None),
            sparse=(self.sparse, True),
            trainable=(self.weight.trainable, True),
            dtype=(self.dtype, "float32"),
        )

    def __call__(self, tokens: ArrayLike) -> Array:
        """Return the vectors [..., embedding_dim] of integer `tokens` [...].

        IndexError names a token that is out of range, and its place.
        """
        vectors: Array = self.weight.data[check_ids("tokens", tokens, self.num_embeddings)]
        return vectors

    def forward(self, tokens: ArrayLike) -> tuple[Array, Tape]:
        """Return the vectors as above, and the tape. The tokens are copied."""
        ids = check_ids("tokens", tokens, self.num_embeddings).copy()
        return self.weight.data[ids], Tape(self, ids)

    def backward(self, tape: Tape, dy: Array) -> None:
        """Add the gradient of the rows used to ``weight.rows``, or to ``weight.grad``."""
        (ids,) = self._take(tape)
        dy = check_array("dy", dy, self.dtype, (*ids.shape, self.embedding_dim))
        index, place = np.unique(ids, return_inverse=True)
        value = sums_at(place.reshape(-1), len(index), dy.reshape(-1, self.embedding_dim))
        self.add_gradient(index.astype(np.int64, copy=False), value)

    def distinct(
        self, tokens: ArrayLike, lengths: ArrayLike | None = None
    ) -> tuple[Tokens, Int64Array]:
        """Describe a batch by its distinct tokens: the input that recurrent layers run fastest.

        Parameters
        ----------
        tokens : integers [N, T], each row's real tokens first.
        lengths : integers [N] in 0..T, how many are real; None for all.

        Returns
        -------
        batch : `Tokens` with ids [N, T] and table [U, embedding_dim], a copy of the rows used.
        index : int64 [U], increasing: the token of each row of the table. Ids past a row's
            length point to some row of the table, and do not add one.
        """
        ids, index = self._used(tokens, lengths)
        place = np.zeros(self.num_embeddings, np.int64)
        place[index] = np.arange(len(index))
        return Tokens(place[ids], self.weight.data[index]), index

    def draws(
        self, rng: Rng, index: Int64Array, tokens: int = 0, lengths: int | None = None
    ) -> Rng:
        """Return what to draw a mask of a batch's distinct tokens `index` from: `rng` as a rule.

        Where processes share the batch, the tokens of all of it count. `tokens` and `lengths` are
        their numbers among the model's inputs.
        """
        shared = as_shared(rng)
        if shared is None:
            return rng
        given = shared.inputs
        _, whole = self._used(given[tokens], None if lengths is None else given[lengths])
        place = np.searchsorted(whole, index).clip(max=len(whole) - 1)
        return shared.of(place, len(whole))

    def _used(
        self, tokens: ArrayLike, lengths: ArrayLike | None
    ) -> tuple[NDArray[np.integer], Int64Array]:
        """Return the checked tokens, and which ones there are among the real ones."""
        ids = check_ids("tokens", tokens, self.num_embeddings, ndim=2)
        real = ids
        if lengths is not None:
            checked = check_lengths(lengths, ids.shape[1], ids.shape[0])
            real = ids[np.arange(ids.shape[1]) < checked[:, None]]
        # One flag for each word of the vocabulary beats sorting the batch.
        seen = np.zeros(self.num_embeddings, np.bool_)
        seen[real] = True
        if not real.size:
            seen[0] = True
        return ids, np.flatnonzero(seen).astype(np.int64, copy=False)

    def add_gradient(self, index: Int64Array, value: Array) -> None:
        """Add `value` [U, embedding_dim] to the gradient of rows `index` [U], which increase.

        Of vectors that are not trainable there is none.
        """
        if not self.weight.trainable:
            return
        if self.padding_idx is not None:
            keep = index != self.padding_idx
            if not keep.all():
                index, value = index[keep], value[keep]
        if self.sparse:
            self.weight.add_rows(index, value)
        else:
            self.weight.grad[index] += value
            ready(self.weight)
