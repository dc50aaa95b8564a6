"""What each token of a text adds to its logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastlstm.linear.counting import Features
from fastlstm.linear.hashing import hash_tokens
from fastlstm.linear.ngrams import Int64s, ngram_keys, spell
from fastlstm.linear.token_rows import TokenRows
from fastlstm.linear.weighting import Reals, weigh

if TYPE_CHECKING:
    from fastlstm.linear.bag_of_ngrams import BagOfNgrams


def shares(model: BagOfNgrams, tokens: Sequence[str]) -> Reals:
    """Return the share of each token, float64 [L,P]."""
    rows = weigh(model.features.count(TokenRows.from_lists([tokens])), model.scales)
    order = np.argsort(rows.columns)
    columns = rows.columns[order]
    parts = rows.values[order, None] * model.weights[columns].astype(np.float64)
    places = [
        (first, length, np.searchsorted(columns, column))
        for first, length, column in _places(model.features, tokens)
    ]
    times = sum(np.bincount(feature, minlength=len(columns)) for _, _, feature in places)
    found = np.zeros((len(tokens), model.weights.shape[1]))
    for first, length, feature in places:
        each = (parts / np.reshape(times, (-1, 1)))[feature] / length
        for token in range(length):
            np.add.at(found, first + token, each)
    return found


def _places(
    features: Features, tokens: Sequence[str]
) -> Iterator[tuple[Int64s, int, NDArray[np.int64]]]:
    """Yield the first tokens of known n-grams, how many tokens they are of, and their features."""
    words, chars = features.tables
    low, high = features.words
    keys, inside = ngram_keys(hash_tokens(tokens), np.array([0, len(tokens)]), low, high)
    columns = np.where(inside, words.find(keys.ravel()).reshape(keys.shape), -1)
    for n in range(low, high + 1):
        first = np.flatnonzero(columns[:, n - low] >= 0)
        yield first, n, columns[first, n - low].astype(np.int64)
    if features.chars is not None:
        hashes, offsets = spell(tokens)
        keys, inside = ngram_keys(hashes, offsets, *features.chars)
        columns = np.where(inside, chars.find(keys.ravel()).reshape(keys.shape), -1)
        token = np.repeat(np.arange(len(tokens)), np.diff(offsets))
        at, n_at = np.nonzero(columns >= 0)
        yield token[at], 1, columns[at, n_at].astype(np.int64) + len(words)
