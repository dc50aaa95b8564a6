"""A training and a test collection of texts, encoded with the words of the training part."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .encoded import Encoded, Ints
from .token_list import by_frequency
from .vocabulary import SPECIAL, UNK, Vocabulary


class Texts(NamedTuple):
    """Normalized texts (see `tokenizer.normalize`) and the class of each."""

    texts: list[str]
    labels: list[int]


class Corpus(NamedTuple):
    """Two collections encoded with one full vocabulary.

    Ids go by frequency: for a smaller vocabulary take ``train.limit(size)`` and ``words[:size]``.

    Attributes
    ----------
    train, test : the encoded texts.
    words : every word of the training texts by falling frequency, after the special entries.
    """

    train: Encoded
    test: Encoded
    words: list[str]


def build_corpus(
    train: Texts, test: Texts, advance: Callable[[int], object] = lambda done: None
) -> Corpus:
    """Number the words of `train` by frequency and encode both collections.

    Words that only `test` has become unknown. `advance` is told how many more texts are done.
    """
    numbers = _Numbers()
    flat, lengths = numbers.encode(train.texts, advance)
    test_flat, test_lengths = numbers.encode(test.texts, advance)
    counts = np.bincount(flat, minlength=len(numbers)).tolist()
    words = by_frequency(dict(zip(numbers, counts, strict=True)))
    ids = np.full(len(numbers), UNK, dtype=np.int32)
    ids[[numbers[word] for word in words]] = np.arange(len(words)) + len(SPECIAL)
    return Corpus(
        Encoded.from_lengths(ids[flat], lengths, train.labels),
        Encoded.from_lengths(ids[test_flat], test_lengths, test.labels),
        [*SPECIAL, *words],
    )


def encode_with(words: list[str], texts: Texts) -> Corpus:
    """Encode another collection with the words of a corpus; the test part is empty."""
    number = Vocabulary(words).id
    rows = [list(map(number, text.split())) for text in texts.texts]
    return Corpus(Encoded.from_rows(rows, texts.labels), Encoded.from_rows([], []), words)


class _Numbers(dict[str, int]):
    """Numbers words from 0 as they come: looking up a new word adds it."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number

    def encode(
        self, texts: Iterable[str], advance: Callable[[int], object]
    ) -> tuple[NDArray[np.int32], Ints]:
        """Return the numbers of all words, int32 [W], and each text's length, int64 [N]."""
        number = self.__getitem__
        rows, lengths = [np.empty(0, np.int32)], []
        texts = iter(texts)
        while chunk := list(islice(texts, 1000)):
            for text in chunk:
                words = text.split()
                lengths.append(len(words))
                rows.append(np.fromiter(map(number, words), np.int32, len(words)))
            advance(len(chunk))
        return np.concatenate(rows), np.array(lengths, dtype=np.int64)
