"""Text to characters, and to words of which some are cut into characters."""

from __future__ import annotations

import re
from functools import cache
from re import Pattern

from fastlstm.text.word_classes import JOINERS, marks, unspaced
from fastlstm.text.words import compose, picture


def characters(text: str) -> list[str]:
    """Return the characters of a text, each with its marks; see `tokenizer.tokenize`."""
    if text.isascii():
        return list(text)
    return _character().findall(compose(text))


def mixed(words: str) -> str:
    """Return normalized words, with spaces, and those of scripts without spaces in characters."""
    if words.isascii() or not _unspaced().search(words):
        return words
    return " ".join(_piece().findall(words))


def letters(text: str) -> tuple[int, int]:
    """Return how many letters a text has, and how many of scripts without spaces."""
    if text.isascii():
        return len(text.encode("ascii").translate(None, _NO_LETTERS)), 0
    count = sum(map(len, _LETTERS.findall(text)))
    return count, sum(map(len, _unspaced().findall(text)))


_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())
_LETTERS = re.compile(r"[^\W\d_]+")


@cache
def _unspaced() -> Pattern[str]:
    return re.compile(f"[{unspaced()}]+")


@cache
def _character() -> Pattern[str]:
    return re.compile(rf"{picture()}|(?s:.)[{JOINERS}{marks()}]*")


@cache
def _piece() -> Pattern[str]:
    letter, mark, joiner = unspaced(), marks(), JOINERS
    character = f"[{letter}](?:[{joiner}]*[{mark}]+)*"
    rest = rf"[^\s{letter}{joiner}{mark}](?:[{joiner}]*[^\s{letter}{joiner}]+)*"
    return re.compile(f"{character}|{rest}")
