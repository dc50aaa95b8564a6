"""For the site: entries of docstrings that say in one line what they are.

NumPy's style has a type behind ``name :``. Here types are in the signature, and what follows is
words.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
ENTRY = re.compile(r"^(\*{0,2}\w[\w, *]*) : (.+)$", re.MULTILINE)
# What announces code in reStructuredText; Markdown asks for no more than its indentation.
ANNOUNCED = re.compile(r"^ *::$|:(?=:$)", re.MULTILINE)
DESCRIBED = ("Parameters", "Other Parameters", "Attributes", "Returns", "Yields")


class WordsBelow(griffe.Extension):
    """Moves what stands behind ``name :`` to the line below, where NumPy's style has its words."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = words_below(obj.docstring.value)


def words_below(docstring: str) -> str:
    """Return the docstring with the words of its entries below their names, as Markdown."""
    parts = HEADING.split(docstring)
    for k in range(1, len(parts), 2):
        heading, body = parts[k : k + 2]
        if heading in DESCRIBED:
            named = r"\1 :\n    \2" if heading in ("Returns", "Yields") else r"\1\n    \2"
            body = ENTRY.sub(named, body)
        parts[k : k + 2] = [f"{heading}\n{'-' * len(heading)}", body]
    return ANNOUNCED.sub("", "".join(parts))
