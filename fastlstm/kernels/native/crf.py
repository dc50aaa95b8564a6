"""Linear-chain conditional random fields: see `fastlstm.kernels.reference.crf`."""

from __future__ import annotations

from fastlstm.kernels.call import Array
from fastlstm.kernels.crf import CrfLoss, CrfScores, crf_arrays, read_crf
from fastlstm.kernels.native import _native
from fastlstm.kernels.rows import Int64Array


def crf(
    x: Array,
    labels: Int64Array,
    lengths: Int64Array,
    scores: CrfScores,
    *,
    gradient: bool = True,
    n_threads: int = 1,
) -> CrfLoss:
    """Return the negative log-likelihood of each row's labels, and gradients of their sum."""
    arrays, result = crf_arrays(read_crf(x, lengths, scores, labels), gradient)
    _native.run_crf(arrays, False, n_threads)
    return result


def viterbi(
    x: Array, lengths: Int64Array, scores: CrfScores, *, n_threads: int = 1
) -> tuple[Int64Array, Array]:
    """Return the likeliest labels [N,T] of each row, and their score [N]."""
    given = read_crf(x, lengths, scores)
    arrays, result = crf_arrays(given, False)
    _native.run_crf(arrays, True, n_threads)
    return given.labels, result.losses
