"""The words a model knows, by frequency."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .encoded import Encoded, Ints
from .token_file import known_ids, read_document, tokens_in, write_tokens
from .tokenizer import TOKENIZER_VERSION, normalize, tokenize

PAD, UNK = 0, 1
SPECIAL = ("<pad>", "<unk>")
_FORMAT = "fastlstm-vocabulary"


class Vocabulary:
    """A numbered list of words: id 0 is padding, id 1 any unknown word, then the most frequent.

    Parameters
    ----------
    words : distinct words in order of id, the first two being ``<pad>`` and ``<unk>``.

    Raises
    ------
    ValueError
        If `words` does not start so, or repeats a word.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = list(words)
        if tuple(self.words[:2]) != SPECIAL:
            raise ValueError(f"words starts with {self.words[:2]}, expected {list(SPECIAL)}")
        self._ids = {word: number for number, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            raise ValueError(f"words has {len(self.words) - len(self._ids)} repetitions")

    @classmethod
    def from_texts(cls, texts: Iterable[str], size: int) -> Vocabulary:
        """Build from the most frequent words of `texts`.

        Parameters
        ----------
        texts : raw texts.
        size : the most entries, the two special ones included; at least 3.
        """
        check_size(size)
        numbers = WordNumbers()
        flat, _ = numbers.encode(normalize(text.encode("utf-8", "replace")) for text in texts)
        words = list(numbers)
        order = by_frequency(words, np.bincount(flat, minlength=len(words)))
        return cls([*SPECIAL, *(words[i] for i in order[: size - 2])])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words)"

    def id(self, word: str) -> int:
        """The id of a word, 1 if it is unknown."""
        return self._ids.get(word, UNK)

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the word ids of one raw text, int32 [number of words]."""
        return np.fromiter(map(self.id, tokenize(text)), dtype=np.int32)

    def encode_texts(self, texts: Sequence[str], labels: ArrayLike) -> Encoded:
        """Return raw texts as word ids; `labels` is int [number of texts]."""
        rows = [self.encode(text) for text in texts]
        tokens = np.concatenate([np.empty(0, np.int32), *rows])
        return Encoded.from_lengths(tokens, [len(row) for row in rows], labels)

    def decode(self, ids: ArrayLike) -> str:
        """Return the words of the ids, joined by spaces; padding is left out.

        Raises
        ------
        IndexError
            If an id is out of range.
        """
        return " ".join(self.words[i] for i in known_ids(ids, len(self)) if i != PAD)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON; an earlier file stays intact until the new one is complete."""
        document = {
            "format": _FORMAT,
            "version": 1,
            "tokenizer": TOKENIZER_VERSION,
            "words": self.words,
        }
        write_tokens(path, document)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read a file written by `save`.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        ValueError
            If it is damaged, not a vocabulary, or of another tokenizer.
        """
        document = read_document(path, _FORMAT, "a vocabulary of fastlstm")
        if document.get("tokenizer") != TOKENIZER_VERSION:
            raise ValueError(
                f"{path} was made with tokenizer version {document.get('tokenizer')}, "
                f"this is version {TOKENIZER_VERSION}"
            )
        words = tokens_in(path, document, "words")
        try:
            return cls(words)
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from error


class WordNumbers(dict[str, int]):
    """Numbers words from 0 in order of first sight; looking a new word up gives it a number."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number

    def encode(
        self, texts: Iterable[str], advance: Callable[[int], object] = lambda done: None
    ) -> tuple[NDArray[np.int32], Ints]:
        """Return the numbers of all words, int32 [W], and each text's length, int64 [N].

        `texts` are normalized; `advance` is told now and then how many more are done.
        """
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


def by_frequency(words: Sequence[str], counts: NDArray[np.integer]) -> list[int]:
    """Return the positions of the words seen at all, most frequent first, ties by spelling."""
    count = counts.tolist()
    seen = [i for i in range(len(words)) if count[i] > 0]
    return sorted(seen, key=lambda i: (-count[i], words[i]))


def check_size(size: int) -> None:
    """Raise ValueError unless `size` leaves room for one word beside the special entries."""
    if size < 3:
        raise ValueError(f"vocab_size is {size}, expected at least 3 (padding, unknown, a word)")
