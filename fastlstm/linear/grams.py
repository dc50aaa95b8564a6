"""Texts as runs of numbered n-grams, of words and of characters, in blocks of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.backend import KeyTable
from fastlstm.linear.hashing import UInt64s
from fastlstm.linear.ngrams import Int64s, ngram_keys, spell
from fastlstm.linear.options import Range
from fastlstm.linear.token_rows import TokenRows
from fastlstm.runtime import get_num_threads
from fastlstm.text.encoded import runs

# N-grams that all threads together work on at a time: bounds the memory that they take. With four
# times as many, what threads had freed stayed with the process: 30 % more of it for two threads.
BLOCK = 1 << 20
Columns = tuple[NDArray[np.int32], Int64s]


class Grams(Protocol):
    """The n-grams of one kind of some texts, in parts: calls that may be made side by side."""

    def keys(self) -> list[Callable[[], UInt64s]]:
        """Return calls for the keys of all, in any order, some of them more than once."""

    def columns(self, table: KeyTable) -> list[Callable[[], Columns]]:
        """Return calls, a block each: the number of each n-gram, -1 for none, and texts' starts."""


class WordGrams:
    """Those of tokens, of the least to the most of `lengths`."""

    def __init__(self, rows: TokenRows, lengths: Range) -> None:
        self._rows, self._lengths = rows, lengths
        self._hashes = rows.hashes  # made here: each of the threads would make them anew

    def keys(self) -> list[Callable[[], UInt64s]]:
        return [partial(self._keys, first, end) for first, end in self._blocks()]

    def columns(self, table: KeyTable) -> list[Callable[[], Columns]]:
        return [partial(self._columns, table, first, end) for first, end in self._blocks()]

    def _keys(self, first: int, end: int) -> UInt64s:
        keys, inside = self._block(first, end)
        return keys[inside]

    def _columns(self, table: KeyTable, first: int, end: int) -> Columns:
        keys, inside = self._block(first, end)
        columns = table.find(keys.ravel())
        columns[~inside.ravel()] = -1
        return columns, self._starts(first, end) * keys.shape[1]

    def _blocks(self) -> Iterator[Range]:
        width = self._lengths[1] - self._lengths[0] + 1
        return blocks(self._rows.offsets * width)

    def _block(self, first: int, end: int) -> tuple[UInt64s, NDArray[np.bool_]]:
        ids = self._rows.ids[self._rows.offsets[first] : self._rows.offsets[end]]
        return ngram_keys(self._hashes[ids], self._starts(first, end), *self._lengths)

    def _starts(self, first: int, end: int) -> Int64s:
        starts: Int64s = self._rows.offsets[first : end + 1] - self._rows.offsets[first]
        return starts


class CharGrams:
    """Those of the characters of tokens: found once for each distinct token."""

    def __init__(self, rows: TokenRows, lengths: Range) -> None:
        self._rows = rows
        hashes, offsets = spell(rows.tokens)
        keys, inside = ngram_keys(hashes, offsets, *lengths)
        ends = np.concatenate([[0], np.cumsum(inside.sum(1))])
        self._keys: UInt64s = keys[inside]
        self._starts: Int64s = ends[offsets]  # of the n-grams of each token

    def keys(self) -> list[Callable[[], UInt64s]]:
        return [lambda: self._keys]

    def columns(self, table: KeyTable) -> list[Callable[[], Columns]]:
        of_tokens = table.find(self._keys)
        ids, offsets = self._rows.ids, self._rows.offsets
        counts = np.diff(self._starts)[ids]
        totals = np.concatenate([[0], np.cumsum(counts)])[offsets]

        def block(first: int, end: int) -> Columns:
            part = slice(offsets[first], offsets[end])
            columns = of_tokens[runs(self._starts[ids[part]], counts[part])]
            return columns, totals[first : end + 1] - totals[first]

        return [partial(block, first, end) for first, end in blocks(totals)]


def blocks(offsets: Int64s) -> Iterator[Range]:
    """Yield first and last + 1 of runs of texts that have a thread's part of BLOCK, or are one."""
    first, N, most = 0, len(offsets) - 1, max(BLOCK // get_num_threads(), 1)
    while first < N:
        end = int(np.searchsorted(offsets, offsets[first] + most, "right")) - 1
        end = min(max(end, first + 1), N)
        yield first, end
        first = end
