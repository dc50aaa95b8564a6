"""The n-grams of rows: of the words of texts, and of the characters of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastlstm.linear.hashing import UInt64s, extend, hash_characters

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]
EDGE = 0x110000  # stands at both ends of a word: no character has this number


def ngram_keys(hashes: UInt64s, offsets: Int64s, low: int, high: int) -> tuple[UInt64s, Bools]:
    """Return the keys of the n-grams that begin at each token, of low to high tokens.

    Parameters
    ----------
    hashes : uint64 [W], of the tokens of all rows.
    offsets : int64 [N+1], where each row starts.
    low, high : number of tokens of an n-gram.

    Returns
    -------
    keys : uint64 [W, high - low + 1].
    inside : bool, the same; whether the n-gram ends within the row.
    """
    W = len(hashes)
    keys = np.zeros((W, high - low + 1), np.uint64)
    inside = np.zeros((W, high - low + 1), bool)
    left = np.repeat(offsets[1:], np.diff(offsets)) - np.arange(W)  # tokens to the row's end
    state = hashes
    for n in range(1, high + 1):
        if n > 1:
            state = extend(state[:-1], hashes[n - 1 :])
        if n >= low:
            keys[: len(state), n - low] = state
            inside[:, n - low] = left >= n
    return keys, inside


def spell(tokens: Sequence[str]) -> tuple[UInt64s, Int64s]:
    """Return the hashes of the characters of tokens, an edge at both ends, and where each starts.

    Tokens of one character have none: they are words already.
    """
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    lengths = np.where(lengths > 1, lengths + 2, 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    text = "".join([f" {token} " for token in tokens if len(token) > 1])
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32)
    spelt = lengths > 0
    codes[offsets[:-1][spelt]] = codes[offsets[1:][spelt] - 1] = EDGE
    return hash_characters(codes), offsets
