"""Classes of characters, as pieces of regular expressions, that the module `re` does not name.

Letters and digits are ``\\w``. Marks follow from `unicodedata`, which is of the same version of
Unicode; a table is made when the first text asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from unicodedata import category, combining, normalize

JOINERS = "\u200c\u200d"  # zero-width: within words of Persian and of India, and within emoji

# Symbols that are pictures by themselves, most of Unicode's Extended_Pictographic.
PICTURES = (
    "\u231a\u231b\u23e9-\u23f3\u23f8-\u23fa\u2600-\u2767\u2795-\u2797\u27a1\u27b0\u27bf"
    "\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001f1e5\U0001f200-\U0001faff\U0001fc00-\U0001fffd"
)
# Those that are pictures only if U+FE0F says so: (c), (R), !!, TM, arrows, squares and so on.
PICTURES_IF_ASKED = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2194-\u2199\u21a9\u21aa\u2328\u23cf\u24dc\u25aa\u25ab\u25b6"
    "\u25c0\u25fb-\u25fe\u2934\u2935\u2b05-\u2b07\u3030\u303d\u3297\u3299"
)
FLAG_LETTERS = "\U0001f1e6-\U0001f1ff"  # two of them are a flag
TAGS = "\U000e0020-\U000e007f"  # spell the flag of a region
SKIN_TONES = "\U0001f3fb-\U0001f3ff"

# All marks lie in these, as a test makes sure for each version of Unicode.
_MARK_BLOCKS = (
    (0x300, 0x3400), (0xA000, 0xAC00), (0xFB00, 0x17000), (0x1BC00, 0x1F000), (0xE0100, 0xE01F0),
)  # fmt: skip
# Blocks of scripts that are written without spaces between words: Thai, Lao, Myanmar, Khmer,
# Tai Le, New Tai Lue, Tai Tham, Balinese; ideographic marks, kana, Bopomofo, Yi, Javanese,
# Myanmar, Tai Viet, halfwidth kana, Tangut, Khitan, kana, Nushu.
_UNSPACED_BLOCKS = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF),
    (0x1B00, 0x1B7F), (0x3005, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0xA000, 0xA4CF),
    (0xA980, 0xA9FF), (0xAA60, 0xAADF), (0xFF66, 0xFF9F), (0x16FE0, 0x16FFF), (0x18B00, 0x18CFF),
    (0x1AFF0, 0x1B2FF),
)  # fmt: skip
# Of Han and Tangut every character is a letter.
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00017000-\U00018aff\U00020000-\U0003fffd"


@cache
def marks() -> str:
    """Return the combining marks: accents, vowel signs, viramas, points, variation selectors."""
    return _ranges(_all_marks())


@cache
def marks_and_letters() -> str:
    """Return the marks, and some letters and digits between them, so that there are few ranges.

    Ranges beyond U+FFFF are tried one by one.
    """
    return _ranges(_all_marks(), str.isalnum)


@cache
def movable() -> str:
    """Return what changes places in normal forms, and all scripts beyond U+FFFF."""
    return _ranges(filter(_moves, _all_marks())) + "\U00010000-\U0001efff"


@cache
def unspaced() -> str:
    """Return the letters of the scripts that are written without spaces between words."""
    found = (chr(code) for low, high in _UNSPACED_BLOCKS for code in range(low, high + 1))
    return _HAN + _ranges(c for c in found if c.isalnum() and not c.isdecimal())


@cache
def _all_marks() -> tuple[str, ...]:
    found = [chr(code) for low, high in _MARK_BLOCKS for code in range(low, high)]
    return tuple(c for c, kind in zip(found, map(category, found), strict=True) if kind[0] == "M")


def _moves(mark: str) -> bool:
    return mark <= "\uffff" and combining(normalize("NFD", mark)[0]) > 0


def _ranges(rising: Iterable[str], may_fill: Callable[[str], bool] = lambda other: False) -> str:
    """Return characters as ranges; gaps of others that `may_fill` are closed."""
    found: list[list[int]] = []
    for code in map(ord, rising):
        if found and all(may_fill(chr(other)) for other in range(found[-1][1] + 1, code)):
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in found)
