"""Text to words.

The rule, in full:

1. ``<br />`` becomes a space.
2. Letters become lower case.
3. The typographic apostrophe and the acute accent standing alone become ``'``.
4. A word is a longest run of letters, digits (of any script) and apostrophes. All else,
   the underscore included, separates words.

On ASCII text this is ``re.findall(r"[a-z0-9']+", text.lower().replace("<br />", " "))``.
"""

from __future__ import annotations

import re

TOKENIZER_VERSION = 1
"""Goes up when the rule changes, so that stored encodings of an older rule are not used."""

_BREAK = "<br />"
_APOSTROPHES = ("\u2019", "\u00b4")
_WORD = re.compile(r"[\w']+")
# ASCII bytes to what they are in a normalized text; the rest of the table is never looked up.
_ASCII = bytes(
    code if chr(code).isalnum() or chr(code) == "'" else ord(" ")
    for code in bytes(range(128)).lower()
) + bytes(128)


def normalize(raw: bytes) -> str:
    """Return the words of a UTF-8 text, separated by white space.

    Nine reviews in ten are pure ASCII; these need no regular expression, only a table.

    Raises
    ------
    UnicodeDecodeError
        If `raw` is not UTF-8.
    """
    if raw.isascii():
        return raw.replace(b"<br />", b" ").translate(_ASCII).decode("ascii")
    text = raw.decode("utf-8").replace(_BREAK, " ").lower()
    for apostrophe in _APOSTROPHES:
        text = text.replace(apostrophe, "'")
    return " ".join(_WORD.findall(text)).replace("_", " ")


def tokenize(text: str) -> list[str]:
    """Return the words of `text` by the rule at the top of this module.

    >>> tokenize("It's GREAT!<br />Caf\u00e9-society")
    ["it's", 'great', 'caf\u00e9', 'society']
    """
    # A lone surrogate cannot be part of a word: "replace" turns it into a separator.
    return normalize(text.encode("utf-8", "replace")).split()
