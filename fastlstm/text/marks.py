"""Text to words and the marks between them: what a bag of words gains from punctuation."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from re import Pattern

from fastlstm.text.characters import mixed
from fastlstm.text.tokenizer import CHAR, MIXED, WORD, WORD_1, check_analyzer, tokenize
from fastlstm.text.words import is_plain, prepared, word

_ASCII = re.compile(r"[a-z0-9']+|[!-&(-/:-@\[-`{-~]")  # a word or a mark
_PLAIN = re.compile(r"((?:[^\W_]|')+)|(\S)")  # a word or another sign
_BREAK = "<br />"
_UNDERSCORE = ("", "_")  # a mark, but for regular expressions a letter


def tokens_with_marks(text: str, analyzer: str = WORD) -> list[str]:
    """Return the words of a text, as `tokenize` does, and between them each punctuation mark.

    Marks are the characters that Unicode calls punctuation or symbols, each a token of its own. The
    analyzer "char" has them already.

    Examples
    --------
    >>> tokens_with_marks("It's GREAT!!<br />Caf\u00e9-society")
    ["it's", 'great', '!', '!', 'caf\u00e9', '-', 'society']
    """
    check_analyzer(analyzer)
    if analyzer == CHAR:
        return tokenize(text, CHAR)
    if text.isascii():  # as nine reviews in ten: in a quarter of the time
        return _ASCII.findall(text.replace(_BREAK, " ").lower())
    text = text.encode("utf-8", "replace").decode("utf-8")  # as `tokenize` does
    if analyzer == WORD_1 or is_plain(text):
        lower = text.replace(_BREAK, " ").lower().replace("\u2019", "'").replace("\u00b4", "'")
        pieces = _PLAIN.findall(lower)
    else:
        find = _word_or_sign().findall
        between = [part for run in prepared(text).split("_") for part in (_UNDERSCORE, *find(run))]
        pieces = between[1:]
    tokens = [found or sign for found, sign in pieces if found or _is_mark(sign)]
    return mixed(" ".join(tokens)).split() if analyzer == MIXED else tokens


def normalize_with_marks(raw: bytes, analyzer: str = WORD) -> str:
    """Return the tokens of a UTF-8 text, with spaces between; UnicodeDecodeError if it is none.

    As `normalize`, with the marks: `split` cuts it.
    """
    text = raw.decode("utf-8")
    return text if analyzer == CHAR else " ".join(tokens_with_marks(text, analyzer))


def is_mark(token: str, analyzer: str = WORD) -> bool:
    """Whether a token of `tokens_with_marks` is a mark, which `tokenize` leaves out."""
    return len(token) == 1 and not tokenize(token, analyzer)


@cache
def _word_or_sign() -> Pattern[str]:
    return re.compile(rf"({word()})|(\S)")


@cache
def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "PS"
