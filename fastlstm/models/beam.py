"""Beam search: the likeliest sequences that a model writes one token after another."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.rows import Int64Array
from fastlstm.nn.check import check_size
from fastlstm.nn.losses import log_softmax
from fastlstm.nn.module import Array
from fastlstm.nn.state import State

# step(tokens [n,K], state of n*K rows, the numbers [n] of the sentences) -> logits [n,K,V], state
Step = Callable[[Int64Array, State, Int64Array], "tuple[Array, State]"]


class Hypothesis(NamedTuple):
    """A sequence that a search found.

    Attributes
    ----------
    tokens : int64 [n], without the marks of begin and end.
    score : log-probability, the end mark's included, over the length penalty.
    ended : whether the end mark was reached, or the search stopped at its longest length.
    """

    tokens: Int64Array
    score: float
    ended: bool


class Rules(NamedTuple):
    """What a search looks for; lengths count the end mark."""

    begin: int  # the mark that each sequence starts from
    end: int  # and the one that ends it
    beam_size: int  # K, the hypotheses of a sentence that are followed at a time
    alpha: float  # of the length penalty; the larger, the longer the result; 0 for none
    max_length: int
    forbidden: Collection[int]  # tokens that are never written

    def check(self) -> None:
        """Raise TypeError or ValueError if a value does not fit."""
        check_size("beam_size", self.beam_size)
        check_size("max_length", self.max_length)
        if not 0 <= self.alpha < np.inf:
            raise ValueError(f"alpha is {self.alpha}, expected 0 or more")
        if self.end in self.forbidden:
            raise ValueError(f"forbidden has {self.end}, the end mark")

    def penalty(self, length: int) -> float:
        """Return what a log-probability is divided by (Wu et al. 2016, equation 14)."""
        return float(((5 + length) / 6) ** self.alpha)


class _Beams(NamedTuple):
    """The hypotheses of the sentences that are still searched, n sentences with K each."""

    sentences: Int64Array  # [n], their numbers
    tokens: Int64Array  # [n,K,length]
    total: NDArray[np.float64]  # [n,K], log-probabilities, falling


def beam_search(step: Step, state: State, rules: Rules) -> list[list[Hypothesis]]:
    """Search for all sentences at once.

    A sentence is done when `beam_size` of its hypotheses have ended, each while it was among
    the `beam_size` likeliest of its length. Those that are left at `max_length` count only if
    too few have ended. A beam of 1 is the greedy search.

    `state` has N rows, from which the sentences start. Returned are, for each sentence, at most
    `beam_size` hypotheses, the best first.
    """
    N, K = state.batch_size, rules.beam_size
    total = np.full((N, K), -np.inf)
    total[:, 0] = 0  # all K are the same at first: one of them counts
    beams = _Beams(np.arange(N), np.zeros((N, K, 0), np.int64), total)
    state = state.gather(np.repeat(beams.sentences, K))
    found: list[list[Hypothesis]] = [[] for _ in range(N)]
    last = np.full((N, K), rules.begin)
    for _ in range(rules.max_length):
        logits, state = step(last, state, beams.sentences)
        scores = log_softmax(logits)
        scores[:, :, list(rules.forbidden)] = -np.inf
        beams, parents = _advance(beams, scores, rules, found)
        going = np.array([len(found[i]) < K for i in beams.sentences])
        going &= beams.total[:, 0] > -np.inf
        if not going.any():
            break
        rows = (np.arange(len(going))[:, None] * K + parents)[going]
        beams = _Beams(*(part[going] for part in beams))
        last = beams.tokens[:, :, -1]
        state = state.gather(rows.reshape(-1))
    else:
        _cut_short(beams, rules, found)
    for hypotheses in found:
        hypotheses.sort(key=lambda one: (one.ended, one.score), reverse=True)
    return [hypotheses[:K] for hypotheses in found]


def _advance(
    beams: _Beams, scores: Array, rules: Rules, found: list[list[Hypothesis]]
) -> tuple[_Beams, Int64Array]:
    """Write one more token: scores [n,K,V] -> the K best that go on, and their parents [n,K].

    Those that end are added to `found`.
    """
    n, K, V = scores.shape
    total = (beams.total[:, :, None] + scores).reshape(n, K * V)
    # Each hypothesis ends in one way, so K of the 2K best go on.
    best = _largest(total, 2 * K)
    value = np.take_along_axis(total, best, axis=1)
    parent, token = np.divmod(best, V)
    ends = token == rules.end
    penalty = rules.penalty(beams.tokens.shape[2] + 1)
    for i, rank in np.argwhere(ends[:, :K] & (value[:, :K] > -np.inf)):
        tokens = beams.tokens[i, parent[i, rank]]
        score = float(value[i, rank]) / penalty
        found[beams.sentences[i]].append(Hypothesis(tokens, score, True))
    chosen = np.argsort(ends, axis=1, kind="stable")[:, :K]
    parent, token, value = (
        np.take_along_axis(part, chosen, axis=1) for part in (parent, token, value)
    )
    written = np.take_along_axis(beams.tokens, parent[:, :, None], axis=1)
    tokens = np.concatenate([written, token[:, :, None]], axis=2)
    return _Beams(beams.sentences, tokens, value), parent


def _cut_short(beams: _Beams, rules: Rules, found: list[list[Hypothesis]]) -> None:
    """Add what is left at the longest length."""
    penalty = rules.penalty(rules.max_length)
    for i, sentence in enumerate(beams.sentences):
        for tokens, total in zip(beams.tokens[i], beams.total[i].tolist(), strict=True):
            if total > -np.inf:
                found[sentence].append(Hypothesis(tokens, total / penalty, False))


def _largest(values: Array, count: int) -> Int64Array:
    """Return the places of the `count` largest of each row, the largest first."""
    some = np.argpartition(-values, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(values, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)
