"""What a net and a linear part joined to it make of each word of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastlstm.linear import BagOfNgrams, TokenRows
from fastlstm.models.joined import Join
from fastlstm.nn.module import Array

Float64 = NDArray[np.float64]

TOKENS = 1 << 18  # of the beginnings that are classified in one call


@dataclass(frozen=True, eq=False)
class Shares:
    """A net and a linear part on a text of W words, C classes.

    A logit of a class is how far it is above the mean of all: of two classes, half of the logit of
    the second one to either side.

    Attributes
    ----------
    logits : [W] or [W,C], what both joined say of the text up to and including each word, and the
        marks after it.
    net : [W,C], how far the net moves the joined logits of the classes with each word.
    linear : [W,C], what the word itself adds to them by the linear part, see `linear_shares`.
    net_share : how much the net says of both, 0 to 1.
    """

    logits: Array
    net: Float64
    linear: Float64
    net_share: float

    @classmethod
    def of(
        cls, linear: BagOfNgrams, join: Join, tokens: Sequence[str], words: Sequence[str],
        net: Array,
    ) -> Shares:  # fmt: skip
        """Return those of a text.

        `tokens` and `words` are as of `linear_shares`; `net` has the logits of the net after each
        of the words.
        """
        joined = join.logits(net, _logits_of_beginnings(linear, tokens, words))
        moved = np.diff(centred(join.net * net.astype(np.float64)), axis=0, prepend=0.0)
        added = join.linear * linear_shares(linear, tokens, words)
        return cls(joined, moved, added, join.net_share)


def linear_shares(linear: BagOfNgrams, tokens: Sequence[str], words: Sequence[str]) -> Float64:
    """Return what each word adds to the logits, [W,C]; of two classes half of it to either side.

    The `tokens` of the text are its `words`, or more, and marks between them: what a mark adds is
    added to the word before it, or to the first one. An n-gram's weight is shared by its tokens.
    """
    ends = _ends(tokens, words)
    sums = np.cumsum(centred(linear.contributions(tokens)), axis=0)
    until = np.concatenate([np.zeros((1, sums.shape[1])), sums])[ends]
    return np.diff(until, axis=0, prepend=0.0)


def centred(logits: Array) -> Float64:
    """Return logits [W,C], each above the mean of its row; [W] are those of the second of two."""
    z = np.asarray(logits, np.float64)
    z = np.stack([-z / 2, z / 2], axis=1) if z.ndim == 1 else z
    above: Float64 = z - z.mean(axis=1, keepdims=True)
    return above


def _ends(tokens: Sequence[str], words: Sequence[str]) -> list[int]:
    """Return how many tokens there are up to each word and the marks after it."""
    ends: list[int] = []
    for number, token in enumerate(tokens, 1):
        if len(ends) < len(words) and token == words[len(ends)]:
            ends.append(number)
        elif len(ends) == len(words) and token[0].isalnum():
            break  # a word after those that are shown
        elif ends:
            ends[-1] = number
    return ends + [ends[-1] if ends else 0] * (len(words) - len(ends))


def _logits_of_beginnings(
    linear: BagOfNgrams, tokens: Sequence[str], words: Sequence[str]
) -> Float64:
    """Return the logits of the text up to each word, [W] or [W,C]."""
    ends = _ends(tokens, words)
    rows = max(1, TOKENS // max(1, len(tokens)))
    parts = [
        linear.logits(TokenRows.from_lists([tokens[:end] for end in ends[at : at + rows]]))
        for at in range(0, len(ends), rows)
    ]
    return np.concatenate(parts)
