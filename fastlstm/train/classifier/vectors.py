"""Word vectors that others have trained, as the first ones of a classifier."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.models import TextClassifier
from fastlstm.nn.module import Array
from fastlstm.text import PAD, Encoded
from fastlstm.text.vocabulary import SPECIAL
from fastlstm.text.word_vectors import WordVectors, read_word_vectors
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.start import Start


@dataclass(frozen=True, eq=False)
class FirstVectors:
    """The vectors of a vocabulary of V words.

    Attributes
    ----------
    found : [V], which words have one.
    vectors : float32 [number found, D].
    """

    found: NDArray[np.bool_]
    vectors: Array

    @classmethod
    def of(cls, words: Sequence[str], known: WordVectors) -> FirstVectors:
        """Return those of the words; the special ones have none. ValueError if no word has one."""
        theirs = [known.vectors.get(word) for word in words[len(SPECIAL) :]]
        kept = [vector for vector in theirs if vector is not None]
        if not kept:
            raise ValueError(
                f"the vectors have none of the {count_of(len(theirs), 'word')} of the texts: are "
                "they of another language?"
            )
        found = [False] * len(SPECIAL) + [vector is not None for vector in theirs]
        return cls(np.array(found), np.array(kept, np.float32).reshape(len(kept), known.size))

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        return int(self.vectors.shape[1])

    @property
    def spread(self) -> float:
        """Standard deviation of their numbers."""
        return float(self.vectors.std(dtype=np.float64))

    @property
    def checksum(self) -> int:
        """A number that changes with any vector, or with the words that have one."""
        return zlib.crc32(self.vectors.data, zlib.crc32(self.found.data))

    def share(self, tokens: NDArray[np.integer]) -> float:
        """Return which part of running words has a vector."""
        return float(self.found[tokens].mean()) if len(tokens) else 0.0

    def put_into(self, model: TextClassifier) -> None:
        """Make them a model's first vectors; the random ones of other words are spread as they."""
        table, std = model.embedding.weight.data, model.options["embedding_std"]
        table *= table.dtype.type(self.spread / std)
        table[self.found] = self.vectors
        table[PAD] = 0


class VectorStart(Start):
    """Vectors of the file that the options name, for a vocabulary.

    Attributes
    ----------
    words : the vocabulary; if the vectors are frozen and `tokenize` is given, filled up to
        ``vocab_size`` by the first words of the file: what training texts lack and later ones have
        is known then.
    """

    def __init__(
        self, config: Config, words: Sequence[str],
        tokenize: Callable[[str], Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        assert config.vectors is not None
        fills = config.freeze_vectors and tokenize is not None
        room = config.vocab_size - len(words) if fills else 0
        own = words[len(SPECIAL) :]
        known = read_word_vectors(config.vectors, own, room, tokenize or str.split)
        check_dim(config.embedding_dim, Config.embedding_dim, known.size)
        self.words = [*words, *known.extra]
        self.first = FirstVectors.of(self.words, known)
        self._path, self._extra = Path(config.vectors), len(known.extra)
        self.options = {"embedding_dim": known.size}
        self.identity = {"the word vectors": self.first.checksum}
        self.metrics = {"vectors": self._path.name, "vectors_found": int(self.first.found.sum())}

    def put_into(self, model: TextClassifier) -> None:
        self.first.put_into(model)

    def told(self, train: Encoded) -> str:
        size = self.options["embedding_dim"]
        found, words = self.metrics["vectors_found"] - self._extra, len(self.words) - self._extra
        share = self.first.share(train.tokens)
        text = (
            f"word vectors: {self._path.name} has {found:,} of the "
            f"{count_of(words - len(SPECIAL), 'word')} ({share:.1%} of the running ones), "
            f"{count_of(size, 'number')} each; other words begin at random with their standard "
            f"deviation, {self.first.spread:.3g}"
        )
        more = f"\n{self._extra:,} more words are known from that file" if self._extra else ""
        return text + more


def check_dim(embedding_dim: int, usual: int, size: int) -> None:
    """Raise ValueError if a size of vectors was asked for that is not theirs."""
    if embedding_dim not in (usual, size):
        raise ValueError(
            f"embedding_dim is {embedding_dim}, but the vectors have {count_of(size, 'number')}: "
            "leave it out"
        )
