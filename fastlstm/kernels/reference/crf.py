"""Linear-chain conditional random fields in plain NumPy: the definition.

The score of a path of labels is the sum of its scores at each step, of each pair of neighbours,
and of its first and last label; its probability is exp(score) over the sum for all paths
(Lafferty, McCallum & Pereira 2001). That sum is taken from both ends, in logarithms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm.kernels.call import Array
from fastlstm.kernels.crf import CrfArrays, CrfLoss, CrfScores, read_crf
from fastlstm.kernels.rows import Int64Array


@np.errstate(all="ignore")
def crf(
    x: Array,
    labels: Int64Array,
    lengths: Int64Array,
    scores: CrfScores,
    *,
    gradient: bool = True,
    n_threads: int = 1,
) -> CrfLoss:
    """Return the negative log-likelihood of each row's labels, and gradients of their sum.

    Parameters
    ----------
    x : float64 [N,T,K], the score of each label at each step; what lies past a row's length is
        not looked at.
    labels : int64 [N,T], 0..K-1; the same.
    lengths : int64 [N], 0..T; the loss of a row of length 0 is 0.
    scores : of neighbours, first and last labels.
    gradient : whether gradients are wanted.
    n_threads : at most so many; results do not depend on it.

    Raises
    ------
    TypeError, ValueError, IndexError
        If an array does not fit the others.
    """
    p = read_crf(x, lengths, scores, labels)
    real = np.arange(p.x.shape[1]) < p.lengths[:, None]
    p = p._replace(x=np.where(real[:, :, None], p.x, 0))
    a = _led_to(p)
    total = _log_sum(_last(a, p.lengths) + p.scores.end, axis=1)
    losses = np.where(p.lengths > 0, total - _path_scores(p, real), 0)
    if not gradient:
        return CrfLoss(losses, None, None)
    b = _following(p)
    dx = np.where(real[:, :, None], np.exp(a + b - total[:, None, None]), 0)
    n, t = np.nonzero(real)
    dx[n, t, p.labels[n, t]] -= 1
    some = p.lengths > 0
    dstart, dend = dx[some, 0].sum(axis=0), _last(dx, p.lengths)[some].sum(axis=0)
    return CrfLoss(losses, dx, CrfScores(dstart, _dbetween(p, a, b, total), dend))


@np.errstate(all="ignore")
def viterbi(
    x: Array, lengths: Int64Array, scores: CrfScores, *, n_threads: int = 1
) -> tuple[Int64Array, Array]:
    """Return the likeliest labels [N,T] of each row, zeros past its length, and their score [N].

    Of equal ones that of the lowest label at the last step where they differ. Arguments and errors
    as for `crf`.
    """
    p = read_crf(x, lengths, scores)
    (N, T, _), n = p.x.shape, np.arange(len(p.x))
    best, back = p.scores.start + p.x[:, 0], np.zeros(p.x.shape, np.int64)
    for t in range(1, T):
        each = best[:, :, None] + p.scores.between
        back[:, t] = each.argmax(axis=1)
        best = np.where((p.lengths > t)[:, None], each.max(axis=1) + p.x[:, t], best)
    best = best + p.scores.end
    label, labels = best.argmax(axis=1), np.zeros((N, T), np.int64)
    found = np.where(p.lengths > 0, best[n, label], 0)
    for t in reversed(range(T)):
        alive = p.lengths > t
        labels[alive, t] = label[alive]
        label = np.where(alive, back[n, t, label], label)
    return labels, found


def _led_to(p: CrfArrays) -> Array:
    """Return [N,T,K], the logarithm of all that leads to a label, with its own score."""
    a = np.empty_like(p.x)
    a[:, 0] = p.scores.start + p.x[:, 0]
    for t in range(1, p.x.shape[1]):
        a[:, t] = _log_sum(a[:, t - 1, :, None] + p.scores.between, axis=1) + p.x[:, t]
    return a


def _following(p: CrfArrays) -> Array:
    """Return [N,T,K], the logarithm of all that follows a label."""
    b = np.empty_like(p.x)
    b[:, -1] = p.scores.end
    for t in reversed(range(p.x.shape[1] - 1)):
        after = (p.x[:, t + 1] + b[:, t + 1])[:, None]
        inside = (p.lengths > t + 1)[:, None]
        b[:, t] = np.where(inside, _log_sum(p.scores.between + after, axis=2), p.scores.end)
    return b


def _dbetween(p: CrfArrays, a: Array, b: Array, total: Array) -> Array:
    """Return how often each pair is expected less how often it is there."""
    d = np.zeros_like(p.scores.between)
    for t in range(1, p.x.shape[1]):
        n = np.flatnonzero(p.lengths > t)
        ends = a[n, t - 1, :, None] + (p.x + b)[n, t, None] - total[n, None, None]
        d += np.exp(ends + p.scores.between).sum(axis=0)
        np.subtract.at(d, (p.labels[n, t - 1], p.labels[n, t]), 1)
    return d


def _path_scores(p: CrfArrays, real: Array) -> Array:
    at = np.take_along_axis(p.x, p.labels[:, :, None], axis=2)[:, :, 0]
    pairs = p.scores.between[p.labels[:, :-1], p.labels[:, 1:]]
    found: Array = np.where(real, at, 0).sum(axis=1) + np.where(real[:, 1:], pairs, 0).sum(axis=1)
    found += p.scores.start[p.labels[:, 0]] + p.scores.end[_last(p.labels, p.lengths)]
    return found


def _last(array: Any, lengths: Int64Array) -> Any:
    """Return [N, ...], each row's last step; of a row of none any."""
    return array[np.arange(len(array)), np.maximum(lengths, 1) - 1]


def _log_sum(z: Array, axis: int) -> Array:
    most = z.max(axis=axis, keepdims=True)
    most[most == -np.inf] = 0
    found: Array = np.log(np.exp(z - most).sum(axis=axis)) + np.squeeze(most, axis)
    return found
