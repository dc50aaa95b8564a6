"""Texts as rows of numbered tokens, which need not be in a vocabulary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.counts import count_of
from fastlstm.linear.hashing import UInt64s, hash_tokens
from fastlstm.text.encoded import Encoded
from fastlstm.text.marks import tokens_with_marks

Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TokenRows:
    """N texts, W tokens in all.

    Attributes
    ----------
    tokens : the distinct tokens, by number; they need not all be in a text.
    ids : int32 [W], the number of each token of each text.
    offsets : int64 [N+1], where each text starts; the first is 0, the last W.

    Raises
    ------
    ValueError
        If they do not fit each other.
    """

    tokens: Sequence[str]
    ids: NDArray[np.int32]
    offsets: Int64s

    def __post_init__(self) -> None:
        rows = Encoded(self.ids, self.offsets, np.zeros(max(len(self.offsets) - 1, 0), np.int64))
        object.__setattr__(self, "ids", rows.tokens)
        object.__setattr__(self, "offsets", rows.offsets)
        if len(self.ids) and self.ids.max() >= len(self.tokens):
            raise ValueError(
                f"ids has {self.ids.max()}, expected 0 to {len(self.tokens) - 1}: there are "
                f"{count_of(len(self.tokens), 'token')}"
            )

    @classmethod
    def from_lists(cls, rows: Iterable[Sequence[str]]) -> TokenRows:
        """Build from the tokens of each text."""
        number: defaultdict[str, int] = defaultdict(count().__next__)
        ids, lengths = [], []
        for row in rows:
            ids.append(np.fromiter(map(number.__getitem__, row), np.int32, len(row)))
            lengths.append(len(row))
        flat = np.concatenate([np.empty(0, np.int32), *ids])
        return cls(list(number), flat, np.cumsum([0, *lengths], dtype=np.int64))

    @classmethod
    def from_texts(cls, texts: Iterable[str], analyzer: str = "word") -> TokenRows:
        """Build from texts, cut into words and marks: see `tokens_with_marks`."""
        return cls.from_lists(tokens_with_marks(text, analyzer) for text in texts)

    @classmethod
    def from_encoded(cls, encoded: Encoded, tokens: Sequence[str]) -> TokenRows:
        """Build from texts that are numbered already, and the tokens by number."""
        return cls(tokens, encoded.tokens, encoded.offsets)

    @classmethod
    def concatenate(cls, parts: Sequence[TokenRows]) -> TokenRows:
        """Return the texts of several collections, one after another; equal tokens become one."""
        number: defaultdict[str, int] = defaultdict(count().__next__)
        ids, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for part in parts:
            ours = np.fromiter(map(number.__getitem__, part.tokens), np.int32, len(part.tokens))
            ids.append(ours[part.ids])
            lengths.append(part.lengths)
        ends = np.cumsum(np.concatenate(lengths))
        return cls(list(number), np.concatenate(ids), np.concatenate([[0], ends]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"TokenRows({count_of(len(self), 'text')}, {count_of(len(self.ids), 'token')})"

    @property
    def lengths(self) -> Int64s:
        """Number of tokens of each text, int64 [N]."""
        return np.diff(self.offsets)

    @cached_property
    def hashes(self) -> UInt64s:
        """Hash of each of `tokens`, uint64: see `hash_tokens`."""
        return hash_tokens(self.tokens)

    def as_they_come(self) -> TokenRows:
        """Return the same texts, tokens numbered in the order of their first places.

        Tokens that are in no text are left out: as of `from_lists`.
        """
        W = len(self.ids)
        first = np.full(len(self.tokens), W)
        first[self.ids[::-1]] = np.arange(W)[::-1]  # of several places the last written stays
        order = np.argsort(first, kind="stable")[: int((first < W).sum())]
        number = np.zeros(len(self.tokens), np.int32)
        number[order] = np.arange(len(order))
        tokens = [self.tokens[n] for n in order.tolist()]
        return TokenRows(tokens, number[self.ids], self.offsets)

    def select(self, index: ArrayLike) -> TokenRows:
        """Return the texts of the given numbers, int [M], in that order, or those of a bool [N].

        Raises
        ------
        IndexError
            If a number is out of range.
        """
        labels = np.zeros(len(self), np.int64)
        rows = Encoded(self.ids, self.offsets, labels).select(index)
        found = TokenRows(self.tokens, rows.tokens, rows.offsets)
        if "hashes" in self.__dict__:  # made already
            found.__dict__["hashes"] = self.hashes
        return found
