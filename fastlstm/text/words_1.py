"""Text to words by version 1 of the rule, for the runs of fastlstm 0.1.0.

It is that of `words`, but it cuts at combining marks, and symbols are no words.
"""

from __future__ import annotations

import re

_APOSTROPHES = ("\u2019", "\u00b4")
_WORD = re.compile(r"[\w']+")


def words(text: str) -> str:
    """Return the words of a text, with spaces between."""
    text = text.replace("<br />", " ").lower()
    for apostrophe in _APOSTROPHES:
        text = text.replace(apostrophe, "'")
    return " ".join(_WORD.findall(text)).replace("_", " ")
