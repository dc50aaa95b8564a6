"""The words a model knows, by frequency."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.counts import count_of
from fastlstm.text.encoded import Encoded
from fastlstm.text.token_list import TokenList, by_frequency
from fastlstm.text.tokenizer import TOKENIZER_VERSION, WORD, WORD_1, check_analyzer, tokenize

PAD = 0
"""Id of the padding behind a text's last word."""
UNK = 1
"""Id of a word that is not in the vocabulary."""
SPECIAL = ("<pad>", "<unk>")


class Vocabulary(TokenList):
    """A numbered list of words: id 0 is padding, id 1 any unknown word, then the most frequent.

    Parameters
    ----------
    words : distinct words in order of id, the first two being ``<pad>`` and ``<unk>``.
    analyzer : how texts are cut into words or characters, see `tokenize`.

    Raises
    ------
    ValueError
        If `words` does not start so, or repeats a word, or there is no such analyzer.
    """

    SPECIAL, UNKNOWN = SPECIAL, UNK
    KIND, KEY = ("fastlstm-vocabulary", "a vocabulary of fastlstm"), "words"

    analyzer = WORD_1  # of what was pickled before there was a choice

    def __init__(self, words: Iterable[str], analyzer: str = WORD) -> None:
        check_analyzer(analyzer)
        super().__init__(words)
        self.analyzer = analyzer
        self.words = self.tokens

    @classmethod
    def from_texts(cls, texts: Iterable[str], size: int, analyzer: str = WORD) -> Vocabulary:
        """Build from the most frequent words of `texts`.

        Parameters
        ----------
        texts : raw texts.
        size : the most entries, the two special ones included; at least 3.
        analyzer : how texts are cut, see `tokenize`.
        """
        check_size(size)
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(tokenize(text, analyzer))
        return cls([*SPECIAL, *by_frequency(counts)[: size - len(SPECIAL)]], analyzer)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __repr__(self) -> str:
        return f"Vocabulary({count_of(len(self), 'word')})"

    def split(self, text: str) -> list[str]:
        """Return the words of one raw text, or its characters, as the analyzer says."""
        return tokenize(text, self.analyzer)

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the word ids of one raw text, int32 [number of words]."""
        return np.fromiter(map(self.id, self.split(text)), dtype=np.int32)

    def encode_texts(self, texts: Sequence[str], labels: ArrayLike) -> Encoded:
        """Return raw texts as word ids; `labels` is int [number of texts]."""
        return Encoded.from_rows([list(map(self.id, self.split(text))) for text in texts], labels)

    def decode(self, ids: ArrayLike) -> str:
        """Return the words of the ids, joined by spaces; padding is left out.

        Raises
        ------
        IndexError
            If an id is out of range.
        """
        return " ".join(word for word in self.named(ids) if word != SPECIAL[PAD])

    def _about(self) -> dict[str, Any]:
        if self.analyzer == WORD_1:  # as the version that has no other writes it
            return {"tokenizer": 1}
        return {"tokenizer": TOKENIZER_VERSION, "analyzer": self.analyzer}

    @classmethod
    def _check(cls, path: str | os.PathLike[str], document: dict[str, Any]) -> None:
        if document.get("tokenizer") not in (1, TOKENIZER_VERSION):
            raise ValueError(
                f"{path} was made with tokenizer version {document.get('tokenizer')}, "
                f"this is version {TOKENIZER_VERSION}"
            )

    @classmethod
    def _from_file(cls, document: dict[str, Any], tokens: list[str]) -> Vocabulary:
        analyzer = WORD_1 if document["tokenizer"] == 1 else str(document.get("analyzer"))
        return cls(tokens, analyzer)


def check_size(size: int) -> None:
    """Raise ValueError unless `size` has room for a word after the special entries."""
    if size < 3:
        raise ValueError(f"vocab_size is {size}, expected at least 3 (padding, unknown, a word)")
