"""A training and a test collection of texts, encoded with the words of the training part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.text.encoded import Encoded, Ints
from fastlstm.text.marks import is_mark
from fastlstm.text.token_list import by_frequency
from fastlstm.text.tokenizer import WORD, split
from fastlstm.text.vocabulary import SPECIAL, UNK


class Texts(NamedTuple):
    """Normalized texts (see `tokenizer.normalize`, `marks.normalize_with_marks`), their classes."""

    texts: list[str]
    labels: list[int]


class Corpus(NamedTuple):
    """Two collections encoded with one full list of tokens, perhaps with marks between the words.

    Attributes
    ----------
    train, test : the encoded texts.
    words : every word of the training texts by falling frequency, after the special entries.
    others : words of other texts. Their ids follow those of `words`.
    marks : tokens that are no words; their ids follow.
    """

    train: Encoded
    test: Encoded
    words: list[str]
    others: Sequence[str] = ()
    marks: Sequence[str] = ()

    @property
    def tokens(self) -> list[str]:
        """What the ids stand for."""
        return [*self.words, *self.others, *self.marks]

    def known(self, part: Encoded, size: int) -> Encoded:
        """Return the words of a part without the marks, of which the first `size` are known."""
        if self.marks:
            part = part.keep(part.tokens < len(self.words) + len(self.others))
        return part.limit(min(size, len(self.words)))

    def in_words_of(self, part: Encoded, words: Sequence[str]) -> Encoded:
        """Return the words of a part without the marks, as ids of another vocabulary."""
        number = {word: n for n, word in enumerate(words)}
        own = [*self.words, *self.others]
        ids = np.array([number.get(word, UNK) for word in own], np.int32)
        part = part.keep(part.tokens < len(own))
        return Encoded(ids[part.tokens], part.offsets, part.labels)


def build_corpus(
    train: Texts, test: Texts, advance: Callable[[int], object] = lambda done: None,
    analyzer: str = WORD,
) -> Corpus:  # fmt: skip
    """Number the words of `train` by frequency and encode both collections.

    `advance` is told how many more texts are done. The texts were normalized for the `analyzer`.
    """
    numbers = _Numbers(analyzer)
    flat, lengths = numbers.encode(train.texts, advance)
    counts = np.bincount(flat, minlength=len(numbers)).tolist()
    test_flat, test_lengths = numbers.encode(test.texts, advance)
    of_train = dict(zip(numbers, counts, strict=False))
    words, marks = _apart(of_train, analyzer)
    others, more = _apart(list(numbers)[len(counts) :], analyzer)
    words = by_frequency({word: of_train[word] for word in words})
    corpus = Corpus(
        Encoded.from_lengths(flat, lengths, train.labels),
        Encoded.from_lengths(test_flat, test_lengths, test.labels),
        [*SPECIAL, *words], others, [*marks, *more],
    )  # fmt: skip
    return _renumbered(corpus, numbers)


def encode_with(words: list[str], texts: Texts, analyzer: str = WORD) -> Corpus:
    """Encode another collection with the words of a corpus; the test part is empty."""
    numbers = _Numbers(analyzer)
    numbers.update(zip(words, range(len(words)), strict=True))
    flat, lengths = numbers.encode(texts.texts)
    others, marks = _apart(list(numbers)[len(words) :], analyzer)
    train = Encoded.from_lengths(flat, lengths, texts.labels)
    return _renumbered(Corpus(train, Encoded.from_rows([], []), words, others, marks), numbers)


def _apart(tokens: Iterable[str], analyzer: str) -> tuple[list[str], list[str]]:
    """Return which tokens are words, and which are marks."""
    found: tuple[list[str], list[str]] = [], []
    for token in tokens:
        found[is_mark(token, analyzer)].append(token)
    return found


def _renumbered(corpus: Corpus, numbers: dict[str, int]) -> Corpus:
    """Return a corpus whose ids are those of its `tokens`, not those of `numbers`."""
    ids = np.empty(len(numbers), np.int32)
    for number, token in enumerate(corpus.tokens):
        if token in numbers:
            ids[numbers[token]] = number
    train, test = (
        Encoded(ids[part.tokens], part.offsets, part.labels) for part in (corpus.train, corpus.test)
    )
    return corpus._replace(train=train, test=test)


class _Numbers(dict[str, int]):
    """Numbers words from 0 as they come: looking up a new word adds it."""

    def __init__(self, analyzer: str) -> None:
        super().__init__()
        self.analyzer = analyzer

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number

    def encode(
        self, texts: Iterable[str], advance: Callable[[int], object] = lambda done: None
    ) -> tuple[NDArray[np.int32], Ints]:
        """Return the numbers of all words, int32 [W], and each text's length, int64 [N]."""
        number = self.__getitem__
        rows, lengths = [np.empty(0, np.int32)], []
        texts = iter(texts)
        while chunk := list(islice(texts, 1000)):
            for text in chunk:
                words = split(text, self.analyzer)
                lengths.append(len(words))
                rows.append(np.fromiter(map(number, words), np.int32, len(words)))
            advance(len(chunk))
        return np.concatenate(rows), np.array(lengths, dtype=np.int64)
