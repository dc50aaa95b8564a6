"""Text to words in any script: see `tokenizer.tokenize` for the rule."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import groupby
from re import Match, Pattern

from fastlstm.text import words_1
from fastlstm.text.word_classes import (
    FLAG_LETTERS,
    JOINERS,
    PICTURES,
    PICTURES_IF_ASKED,
    SKIN_TONES,
    TAGS,
    marks,
    marks_and_letters,
    movable,
)

_BEYOND = re.compile("[\u0130\u0300-\U0010ffff]")
_KEYCAP = re.compile("[0-9#*]\ufe0f?\u20e3")
_DOTTED_I = re.compile("i\u0307+")
_LONG = 30  # marks in a row; Unicode's "stream-safe" texts have no more


def words(text: str) -> str:
    """Return the words of a text, with spaces between."""
    if is_plain(text):
        return words_1.words(text)
    return " ".join(_word().findall(prepared(text).replace("_", " ")))


def is_plain(text: str) -> bool:
    """Whether a text has no combining marks, also in lower case, no emoji, nothing to compose."""
    return not _BEYOND.search(text)


def prepared(text: str) -> str:
    """Return a text as its words are looked for: composed, in lower case, one kind of apostrophe.

    An underscore, which no word has, is still there.
    """
    text = lower(compose(text).replace("<br />", " "))
    text = text.replace("\u2019", "'").replace("\u00b4", "'")
    if "\u20e3" in text:
        text = _KEYCAP.sub(r" \g<0> ", text)  # a word of its own, also right after a number
    return text


def compose(text: str) -> str:
    """Return the text in Unicode's normal form C, in linear time."""
    if _long_run().search(text):
        text = _long_run().sub(_in_order, text)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def lower(text: str) -> str:
    """Return composed text in lower case, again composed; a dotted I is an i."""
    text = text.replace("\u0130", "i").lower()
    if "\u0307" in text:  # as str.lower makes of a dotted I
        text = _DOTTED_I.sub("i", text)
    return compose(text)


def _in_order(run: Match[str]) -> str:
    """Return characters taken apart, in canonical order, which `normalize` finds more slowly."""
    apart = "".join(unicodedata.normalize("NFD", letter) for letter in run.group())
    groups = groupby(apart, lambda letter: unicodedata.combining(letter) > 0)
    order = unicodedata.combining
    return "".join("".join(sorted(g, key=order) if moves else g) for moves, g in groups)


@cache
def _long_run() -> Pattern[str]:
    """Return what finds many marks in a row, for which `normalize` takes quadratic time."""
    return re.compile(f"[{movable()}]{{{_LONG},}}")


@cache
def picture() -> str:
    """Return what a whole emoji looks like, with its modifiers; also a flag and a keycap."""
    after = f"[{marks()}{SKIN_TONES}{TAGS}]*"
    one = f"(?:[{PICTURES}]|[{PICTURES_IF_ASKED}](?=\ufe0f)){after}"
    return rf"{one}(?:\u200d{one})*|[{FLAG_LETTERS}]{{1,2}}|{_KEYCAP.pattern}"


@cache
def _word() -> Pattern[str]:
    return re.compile(word())


@cache
def word() -> str:
    """Return what a word of a `prepared` text looks like."""
    inner = rf"[\w'{marks_and_letters()}]"
    return rf"[\w']{inner}*(?:[{JOINERS}]+{inner}+)*|{picture()}"
