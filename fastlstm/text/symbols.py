"""What a language model reads and writes: words or characters, numbered."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .token_file import known_ids, read_document, tokens_in, write_tokens

LEVELS = ("char", "word")
UNKNOWN, END = "<unk>", "<eos>"
_FORMAT = "fastlstm-symbols"


class Symbols:
    """The tokens of a text and their numbers: all its characters, or all its words.

    On the level "char" a token is a character. On the level "word" it is what stands between
    white space, and each line ends with the token ``<eos>``: texts such as Penn Treebank are
    prepared so. Token 0 is ``<unk>``, for what was not in the text that the list was made from.

    Parameters
    ----------
    level : "char" or "word".
    tokens : distinct tokens in order of number, the first being ``<unk>``.

    Raises
    ------
    ValueError
        If the level is unknown, or `tokens` does not start so or repeats one.
    """

    def __init__(self, level: str, tokens: Iterable[str]) -> None:
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}, expected one of {', '.join(LEVELS)}")
        self.level, self.tokens = level, list(tokens)
        if self.tokens[:1] != [UNKNOWN]:
            raise ValueError(f"tokens starts with {self.tokens[:1]}, expected [{UNKNOWN!r}]")
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            raise ValueError(f"tokens has {len(self.tokens) - len(self._ids)} repetitions")

    @classmethod
    def from_text(cls, text: str, level: str, size: int = 0) -> Symbols:
        """Number the tokens of `text`, the most frequent first, equal ones by spelling.

        Parameters
        ----------
        text : the text to learn from.
        level : "char" or "word".
        size : the most tokens to keep, ``<unk>`` included; 0 for all.
        """
        if size < 0 or size == 1:
            raise ValueError(f"size is {size}, expected at least 2, or 0 for all tokens")
        counts = Counter(cls(level, [UNKNOWN]).split(text))
        counts.pop(UNKNOWN, None)  # prepared texts have it already
        order = sorted(counts, key=lambda token: (-counts[token], token))
        return cls(level, [UNKNOWN, *(order[: size - 1] if size else order)])

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"Symbols({self.level}, {len(self)} tokens)"

    def split(self, text: str) -> list[str]:
        """Return the tokens of `text`."""
        if self.level == "char":
            return list(text)
        lines = text.split("\n")
        if not lines[-1].strip():
            del lines[-1]  # what follows the last line's end is no line
        return [token for line in lines for token in (*line.split(), END)]

    def id(self, token: str) -> int:
        """The number of a token, 0 if it is unknown."""
        return self._ids.get(token, 0)

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the numbers of the tokens of `text`, int32 [W]."""
        tokens = self.split(text)
        return np.fromiter(map(self.id, tokens), np.int32, len(tokens))

    def decode(self, ids: ArrayLike) -> str:
        """Return the text of token numbers [W]: words with spaces between, ``<eos>`` as line end.

        Raises
        ------
        IndexError
            If a number is out of range.
        """
        tokens = [self.tokens[i] for i in known_ids(ids, len(self))]
        if self.level == "char":
            return "".join("\N{REPLACEMENT CHARACTER}" if t == UNKNOWN else t for t in tokens)
        return (
            " ".join("\n" if t == END else t for t in tokens)
            .replace(" \n", "\n")
            .replace("\n ", "\n")
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON; an earlier file stays intact until the new one is complete."""
        document = {"format": _FORMAT, "version": 1, "level": self.level, "tokens": self.tokens}
        write_tokens(path, document)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Symbols:
        """Read a file written by `save`.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        ValueError
            If it is damaged, or not such a file.
        """
        document = read_document(path, _FORMAT, "a list of a language model's tokens")
        if document.get("version") != 1:
            raise ValueError(f"{path} has version {document.get('version')}, expected 1")
        level, tokens = document.get("level"), tokens_in(path, document, "tokens")
        try:
            return cls(str(level), tokens)
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from error
