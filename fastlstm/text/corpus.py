"""A training and a test text collection, encoded once with every word of the training part."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .encoded import Encoded
from .vocabulary import SPECIAL, UNK, WordNumbers, by_frequency


class Texts(NamedTuple):
    """Normalized texts (see `tokenizer.normalize`) and the class of each."""

    texts: list[str]
    labels: list[int]


class Corpus(NamedTuple):
    """Two collections encoded with one full vocabulary.

    Ids go by frequency, so a smaller vocabulary is the front part of this one:
    ``train.limit(size)`` with ``words[:size]``.

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
    numbers = WordNumbers()
    flat, lengths = numbers.encode(train.texts, advance)
    test_flat, test_lengths = numbers.encode(test.texts, advance)
    words = list(numbers)
    order = by_frequency(words, np.bincount(flat, minlength=len(words)))
    ids = np.full(len(words), UNK, dtype=np.int32)
    ids[order] = np.arange(len(SPECIAL), len(SPECIAL) + len(order), dtype=np.int32)
    return Corpus(
        Encoded.from_lengths(ids[flat], lengths, train.labels),
        Encoded.from_lengths(ids[test_flat], test_lengths, test.labels),
        [*SPECIAL, *(words[i] for i in order)],
    )


def encode_with(words: list[str], texts: Texts) -> Corpus:
    """Encode one more collection with the words of a corpus; the test part is empty.

    Words that are not among them become unknown.
    """
    known = {word: number for number, word in enumerate(words)}
    rows = [
        np.fromiter((known.get(word, UNK) for word in text.split()), np.int32)
        for text in texts.texts
    ]
    tokens = np.concatenate([np.empty(0, np.int32), *rows])
    none = Encoded.from_lengths([], [], [])
    return Corpus(Encoded.from_lengths(tokens, [len(r) for r in rows], texts.labels), none, words)
