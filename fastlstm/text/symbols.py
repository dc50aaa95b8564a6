"""The numbered tokens of a language model: words or characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.counts import count_of
from fastlstm.text.token_list import TokenList, by_frequency

LEVELS = ("char", "word")
UNKNOWN, END = "<unk>", "<eos>"


class Symbols(TokenList):
    """The tokens of a text and their numbers.

    On the level "char" a token is a character. On the level "word" it is what stands between white
    space, and each line ends with ``<eos>``, as for Penn Treebank. Token 0 is ``<unk>``.

    Parameters
    ----------
    level : "char" or "word".
    tokens : distinct tokens in order of number, the first being ``<unk>``.

    Raises
    ------
    ValueError
        If the level is unknown, or `tokens` does not start so or repeats one.
    """

    SPECIAL, UNKNOWN = (UNKNOWN,), 0
    KIND, KEY = ("fastlstm-symbols", "a list of a language model's tokens"), "tokens"

    def __init__(self, level: str, tokens: Iterable[str]) -> None:
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}, expected one of {', '.join(LEVELS)}")
        self.level = level
        super().__init__(tokens)

    @classmethod
    def from_text(cls, text: str, level: str, size: int = 0) -> Symbols:
        """Number the tokens of `text` by frequency, then by spelling.

        Parameters
        ----------
        text : the text to learn from.
        level : "char" or "word".
        size : the most tokens to keep, ``<unk>`` included; 0 for all.

        Raises
        ------
        ValueError
            If the level is unknown, or `size` is 1 or negative.
        """
        if size < 0 or size == 1:
            raise ValueError(f"size is {size}, expected at least 2, or 0 for all tokens")
        counts = Counter(cls(level, [UNKNOWN]).split(text))
        counts.pop(UNKNOWN, None)  # some texts hold it
        order = by_frequency(counts)
        return cls(level, [UNKNOWN, *(order[: size - 1] if size else order)])

    def __repr__(self) -> str:
        return f"Symbols({self.level}, {count_of(len(self), 'token')})"

    def split(self, text: str) -> list[str]:
        """Return the tokens of `text`."""
        if self.level == "char":
            return list(text)
        lines = text.split("\n")
        if not lines[-1].strip():
            del lines[-1]  # after the last line end
        return [token for line in lines for token in (*line.split(), END)]

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the numbers of the tokens of `text`, int32 [W]."""
        tokens = self.split(text)
        return np.fromiter(map(self.id, tokens), np.int32, len(tokens))

    def decode(self, ids: ArrayLike) -> str:
        """Return the text of token numbers, int [W]: spaces between words, ``<eos>`` as line end.

        Raises
        ------
        IndexError
            If a number is out of range.
        """
        tokens = self.named(ids)
        if self.level == "char":
            return "".join("\N{REPLACEMENT CHARACTER}" if t == UNKNOWN else t for t in tokens)
        text = " ".join("\n" if t == END else t for t in tokens)
        return text.replace(" \n", "\n").replace("\n ", "\n")

    def _about(self) -> dict[str, Any]:
        return {"level": self.level}

    @classmethod
    def _from_file(cls, document: dict[str, Any], tokens: list[str]) -> Symbols:
        return cls(str(document.get("level")), tokens)
