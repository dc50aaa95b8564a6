"""Text of others on a terminal: control characters as escapes, and wide letters.

Labels, words, file names and messages come from files that anybody may have written. Characters
that control a terminal (also C1 codes), hide, or change the direction of text are printed as
escapes such as ``\\x1b``. The two joiners stay: Indic scripts, Persian and emoji need them.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TextIO

_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_STEERING_IN_LINES = re.compile(_STEERING.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
DOTS = ".."  # the end of a cut text


def printable(text: str) -> str:
    """Return a piece of a line with control and hidden characters as escapes."""
    return _STEERING.sub(_escape, text)


def printable_lines(text: str) -> str:
    """Return text of several lines with such escapes; line feeds and tabs stay."""
    return _STEERING_IN_LINES.sub(_escape, text)


def say(text: object = "", *, file: TextIO | None = None, flush: bool = False) -> None:
    """Print `printable_lines` of a text."""
    print(printable_lines(str(text)), file=file, flush=flush)


def json_line(value: object) -> str:
    """Return JSON on one line, with control characters escaped as JSON does it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _STEERING.sub(lambda found: json.dumps(found.group())[1:-1], text)


def columns(text: str) -> int:
    """Return the width of a text on a terminal: East Asian letters have two columns, marks none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, most: int) -> str:
    """Return a text of at most so many columns, which ends in two dots if it was cut."""
    used = 0
    for n, letter in enumerate(text):
        used += _columns(letter)
        if used > most:
            return _beginning(text[:n], most - len(DOTS)) + DOTS
    return text


def pad(text: str, width: int) -> str:
    """Return a text of exactly so many columns, cut or followed by blanks."""
    text = cut(text, width)
    return text + " " * (width - columns(text))


def _beginning(text: str, most: int) -> str:
    """Return the longest beginning that fits."""
    while text and columns(text) > most:
        text = text[:-1]
    return text


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _escape(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape", "surrogatepass").decode("ascii")
