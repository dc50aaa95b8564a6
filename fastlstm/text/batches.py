"""Batches of texts of similar length, in an order that a seed fixes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.text.encoded import Encoded, Ints
from fastlstm.text.vocabulary import PAD


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """N texts, padded to the length T of the longest (at least 1).

    Attributes
    ----------
    tokens : int32 [N, T], C-contiguous, each row padded with 0 on the right.
    lengths : int64 [N], the number of words of each row.
    labels : int64 [N], or probabilities that a training put in their place.
    index : int64 [N], each row's number in the `Encoded` it came from.
    weights : [N], how much each row counts; None where all count alike.
    """

    tokens: NDArray[np.int32]
    lengths: Ints
    labels: NDArray[Any]
    index: Ints
    weights: NDArray[Any] | None = None

    @property
    def inputs(self) -> tuple[NDArray[np.int32], Ints]:
        """The arguments of a text model: tokens and lengths."""
        return self.tokens, self.lengths

    @property
    def words(self) -> int:
        """The number of real tokens."""
        return int(self.lengths.sum())

    def select(self, rows: NDArray[np.integer]) -> Batch:
        """Return some of the rows, int [n], as long as before."""
        weights = None if self.weights is None else self.weights[rows]
        return Batch(
            self.tokens[rows], self.lengths[rows], self.labels[rows], self.index[rows], weights
        )

    @property
    def real_fraction(self) -> float:
        """The part of `tokens` that is not padding."""
        return float(self.lengths.sum()) / self.tokens.size


def batches(
    encoded: Encoded,
    batch_size: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    bucket: int = 50,
    start: int = 0,
) -> Iterator[Batch]:
    """Yield every row once, in batches of rows of similar length.

    The same arguments give the same batches in the same order; each epoch has its own.

    Parameters
    ----------
    encoded : the texts.
    batch_size : rows of a batch; one batch of an epoch is smaller where it does not divide N.
    seed : 0 or more. Rows are drawn into pools of `bucket` batches, each pool is sorted by length
        and cut into batches, and the batches are shuffled. None, for evaluation: all rows by
        falling length, so that the largest batch comes first.
    epoch : 0 or more.
    bucket : batches of a pool. 1 mixes all lengths; a larger pool means less padding.
    start : the first batch to yield, 0 to `count_batches`; to resume an epoch.

    Raises
    ------
    ValueError
        If an argument is out of range, or `encoded` is empty.
    """
    plan = plan_batches(encoded.lengths, batch_size, seed=seed, epoch=epoch, bucket=bucket)
    return (collate(encoded, index) for index in rest(plan, start))


def plan_batches(
    lengths: Ints, batch_size: int, *, seed: int | None = None, epoch: int = 0, bucket: int = 50
) -> list[Ints]:
    """Return the row numbers of each batch of an epoch, int64 arrays.

    Parameters
    ----------
    lengths : int64 [N], words of each row.
    batch_size, seed, epoch, bucket : as of `batches`.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are no rows.
    """
    for name, value, least in (
        ("rows of encoded", len(lengths), 1),
        ("batch_size", batch_size, 1),
        ("bucket", bucket, 1),
        ("epoch", epoch, 0),
        ("seed", 0 if seed is None else seed, 0),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}, expected at least {least}")
    if seed is None:
        return _cut(np.argsort(-lengths, kind="stable"), batch_size)
    rng = np.random.default_rng([seed, epoch])
    pools = _cut(rng.permutation(len(lengths)), bucket * batch_size)
    by_length = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
    plan = _cut(np.concatenate(by_length), batch_size)
    return [plan[i] for i in rng.permutation(len(plan))]


def count_batches(encoded: Encoded, batch_size: int) -> int:
    """Return the number of batches of an epoch of the texts, as `batches` cuts them."""
    return -(-len(encoded) // batch_size)


def collate(encoded: Encoded, index: Ints) -> Batch:
    """Return some of the texts as one batch.

    Parameters
    ----------
    encoded : the texts.
    index : int [N], their numbers, in the order of the batch.

    Raises
    ------
    IndexError
        If a number is out of range.
    """
    index = np.asarray(index, dtype=np.int64)
    rows = encoded.select(index)
    lengths = rows.lengths
    steps = max(1, int(lengths.max(initial=0)))
    tokens = np.full((len(index), steps), PAD, dtype=np.int32)
    tokens[np.arange(steps) < lengths[:, None]] = rows.tokens
    return Batch(tokens, lengths, rows.labels, index)


def rest(plan: list[Ints], start: int) -> list[Ints]:
    """Return the batches of a plan from number `start` on; ValueError if it is out of range."""
    if not 0 <= start <= len(plan):
        raise ValueError(f"start is {start}, expected 0 to {len(plan)}, the number of batches")
    return plan[start:]


def _cut(order: Ints, size: int) -> list[Ints]:
    return [order[begin : begin + size] for begin in range(0, len(order), size)]
