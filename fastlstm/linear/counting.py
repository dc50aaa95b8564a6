"""Which n-grams of texts become features, and how often each text has them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels import backend
from fastlstm.kernels.backend import KeyTable
from fastlstm.kernels.sparse import SparseRows
from fastlstm.linear.grams import CharGrams, Columns, Grams, WordGrams
from fastlstm.linear.hashing import UInt64s
from fastlstm.linear.ngrams import Int64s
from fastlstm.linear.options import Range
from fastlstm.linear.side_by_side import side_by_side
from fastlstm.linear.token_rows import TokenRows


class Features:
    """Numbered n-grams: those of words, F1 of them, then those of characters.

    Attributes
    ----------
    words : least and most tokens of an n-gram.
    chars : likewise of characters, or None.
    keys : uint64, rising, of the n-grams of each kind.
    """

    def __init__(
        self, words: Range, chars: Range | None, word_keys: UInt64s, char_keys: UInt64s
    ) -> None:
        self.words, self.chars = words, chars
        self.keys = (word_keys, char_keys)
        self.tables = tuple(backend().key_table(keys) for keys in self.keys)

    def __len__(self) -> int:
        return sum(map(len, self.keys))

    def count(self, rows: TokenRows) -> Counts:
        """Return the n-grams of each text."""
        words = count(WordGrams(rows, self.words), self.tables[0])
        words.values[:] = 1  # that it is there says more than how often (Wang & Manning 2012)
        if self.chars is None:
            return Counts(words, words.offsets[1:])
        chars = count(CharGrams(rows, self.chars), self.tables[1])
        chars.columns[:] += len(self.keys[0])
        chars.values[:] = 1 + np.log(chars.values)
        return interleave(words, chars)


class Counts(NamedTuple):
    """Texts as rows of features, not yet weighted.

    Attributes
    ----------
    rows : those of words, then those of characters.
    middle : int64 [N], where the latter begin in each row.
    """

    rows: SparseRows
    middle: Int64s

    def lengths(self) -> Int64s:
        """Number of entries of the two kinds in each row, int64 [2N]."""
        offsets = self.rows.offsets
        bounds = np.concatenate([[0], np.stack([self.middle, offsets[1:]], 1).ravel()])
        return np.diff(bounds)


def find_features(
    rows: TokenRows, words: Range, chars: Range | None, least: tuple[int, int], most: int
) -> Features:
    """Return the n-grams of some texts as features.

    Parameters
    ----------
    words, chars : their lengths.
    least : texts that must have an n-gram of words, and one of characters.
    most : features of both kinds, of those in most texts.
    """
    found = [frequent(WordGrams(rows, words), least[0])]
    none = np.empty(0, np.uint64), np.empty(0, np.int64)
    found.append(none if chars is None else frequent(CharGrams(rows, chars), least[1]))
    frequency = np.concatenate([counts for _, counts in found])
    kept = most_frequent(frequency, most)
    first = len(found[0][0])
    return Features(words, chars, found[0][0][kept[:first]], found[1][0][kept[first:]])


def frequent(grams: Grams, least: int) -> tuple[UInt64s, Int64s]:
    """Return the keys of n-grams that are in at least so many texts, rising, and in how many."""
    parts = side_by_side(lambda part: distinct(part()), grams.keys())
    keys = distinct(np.concatenate([np.empty(0, np.uint64), *parts]))
    table, frequency = backend().key_table(keys), np.zeros(len(keys), np.int64)
    adding = Lock()

    def add(part: Callable[[], Columns]) -> None:
        columns, offsets = part()
        named = backend().collapse(columns, offsets, len(keys)).columns
        found = np.bincount(named, minlength=len(keys))
        with adding:
            np.add(frequency, found, out=frequency)

    for _ in side_by_side(add, grams.columns(table)):
        pass
    kept = frequency >= least
    return keys[kept], frequency[kept]


def distinct(keys: UInt64s) -> UInt64s:
    """Return distinct keys, rising: `np.unique` of some versions takes many times as long."""
    rising = np.sort(keys)
    new = np.ones(len(rising), bool)
    np.not_equal(rising[1:], rising[:-1], out=new[1:])
    return rising[new]


def most_frequent(frequency: Int64s, most: int) -> NDArray[np.bool_]:
    """Return which `most` features are in most texts; of equal ones the first."""
    kept = np.zeros(len(frequency), bool)
    kept[np.argsort(-frequency, kind="stable")[:most]] = True
    return kept


def count(grams: Grams, table: KeyTable) -> SparseRows:
    """Return how often each text has each n-gram of a table."""

    def block(part: Callable[[], Columns]) -> SparseRows:
        columns, offsets = part()
        return backend().collapse(columns, offsets, len(table))

    parts = list(side_by_side(block, grams.columns(table)))
    starts = np.concatenate([[0], np.cumsum([len(part.columns) for part in parts], dtype=np.int64)])
    offsets = [part.offsets[1:] + start for part, start in zip(parts, starts, strict=False)]
    return SparseRows(
        np.concatenate([[0], *offsets]).astype(np.int64),
        np.concatenate([np.empty(0, np.int32), *(part.columns for part in parts)]),
        np.concatenate([np.empty(0, np.float32), *(part.values for part in parts)]),
    )


def interleave(a: SparseRows, b: SparseRows) -> Counts:
    """Return rows of the entries of a, then those of b."""
    offsets, middle = a.offsets + b.offsets, a.offsets[1:] + b.offsets[:-1]
    at = np.arange(len(a.columns)) + np.repeat(b.offsets[:-1], np.diff(a.offsets))
    after = np.arange(len(b.columns)) + np.repeat(a.offsets[1:], np.diff(b.offsets))
    columns = np.empty(offsets[-1], np.int32)
    values = np.empty(offsets[-1], np.float32)
    columns[at], columns[after] = a.columns, b.columns
    values[at], values[after] = a.values, b.values
    return Counts(SparseRows(offsets, columns, values), middle)
