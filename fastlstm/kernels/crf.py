"""Linear-chain conditional random fields: what backends are given and return, and its checks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastlstm.counts import count_of
from fastlstm.kernels.arguments import plain
from fastlstm.kernels.call import Array
from fastlstm.kernels.rows import Int64Array

F64, I64 = np.dtype(np.float64), np.dtype(np.int64)


class CrfScores(NamedTuple):
    """Scores of K labels: of beginning with each, of one after another, of ending with each.

    Attributes
    ----------
    start, end : float64 [K].
    between : float64 [K,K], from the row's label to the column's.
    """

    start: Array
    between: Array
    end: Array


class CrfLoss(NamedTuple):
    """Losses of rows and gradients of their sum, float64; None for what was not asked.

    Attributes
    ----------
    losses : [N].
    dx : [N,T,K], zeros past a row's length.
    dscores : of each array of the scores.
    """

    losses: Array
    dx: Array | None
    dscores: CrfScores | None


class CrfArrays(NamedTuple):
    """What was given, C-contiguous; copies of lengths and labels. Labels past a length are 0."""

    x: Array
    lengths: Int64Array
    scores: CrfScores
    labels: Int64Array


def crf_arrays(given: CrfArrays, gradient: bool) -> tuple[list[Array | None], CrfLoss]:
    """Return the arrays of compiled code, in the order of `fl_crf`, and those that are its result.

    The latter are zeros, None without `gradient`.
    """
    N, T, K = given.x.shape
    scores = CrfScores(np.zeros(K), np.zeros((K, K)), np.zeros(K)) if gradient else None
    result = CrfLoss(np.zeros(N), np.zeros((N, T, K)) if gradient else None, scores)
    read = [given.x, given.lengths, *given.scores, given.labels]
    return [*read, *result[:2], *(scores or [None] * 3)], result


def read_crf(x: Any, lengths: Any, scores: Any, labels: Any = None) -> CrfArrays:
    """Return checked arrays; without `labels` zeros in their place.

    Raises
    ------
    TypeError, ValueError
        If an array does not fit the others.
    IndexError
        If a label of a real step is not 0..K-1.
    """
    x = plain("x", x, F64, (None, None, None))
    N, T, K = x.shape
    if not x.size:
        raise ValueError(f"x has shape {x.shape}, expected no empty axis")
    if K >= 1 << 31:
        raise ValueError(f"x has {count_of(K, 'label')}, expected less than {1 << 31}")
    start, between, end = scores
    scores = CrfScores(
        plain("start", start, F64, (K,)),
        plain("between", between, F64, (K, K)),
        plain("end", end, F64, (K,)),
    )
    # copies: places are computed from them, and their owner may change them meanwhile
    own = np.array(plain("lengths", lengths, I64, (N,)), order="C")
    wrong = np.flatnonzero((own < 0) | (own > T))
    if len(wrong):
        raise ValueError(f"lengths[{wrong[0]}] is {own[wrong[0]]}, expected 0 to {T}")
    solid = [np.require(array, requirements=["C", "A"]) for array in (x, *scores)]
    return CrfArrays(solid[0], own, CrfScores(*solid[1:]), _read_labels(labels, own, T, K))


def _read_labels(labels: Any, lengths: Int64Array, T: int, K: int) -> Int64Array:
    if labels is None:
        return np.zeros((len(lengths), T), np.int64)
    own = np.array(plain("labels", labels, I64, (len(lengths), T)), order="C")
    own[np.arange(T) >= lengths[:, None]] = 0
    wrong = np.argwhere((own < 0) | (own >= K))
    if len(wrong):
        n, t = wrong[0].tolist()
        raise IndexError(f"labels[{n}, {t}] is {own[n, t]}, expected 0 to {K - 1}")
    return own
