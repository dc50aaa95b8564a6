"""Text of users in pictures, drawn as it is and in fonts that have its letters.

Labels, words and file names may hold a ``$``, which matplotlib takes for mathematics, and letters
that its default font lacks, which it draws as boxes. `prepare` corrects both.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

from fastlstm.counts import count_of
from fastlstm.notices import FastlstmWarning
from fastlstm.printable import printable_lines

# Scripts from right to left, or with letters that join; matplotlib shapes them from 3.11 on.
JOINED = ("\u0590", "\u08ff"), ("\u0900", "\u0dff"), ("\u0e80", "\u10ff"), ("\u1780", "\u18af")
NO_LETTERS = ("lastresort", "last resort", "blank")  # fonts of boxes
SHOWN = 8  # letters that a message lists


class LetteringWarning(FastlstmWarning):
    """Some letters of a picture are not drawn as they should be."""


def prepare(figure: Any) -> None:
    """Make all text of a figure literal, and choose fonts for its letters.

    Warns
    -----
    LetteringWarning
        If no installed font has some letter, or matplotlib cannot join letters.
    """
    texts = _foreign_texts(figure)
    for text in texts:
        text.set_parse_math(False)
        text.set_text(printable_lines(text.get_text()))
    letters = {c for text in texts for c in text.get_text() if not c.isspace()}
    missing = letters - _letters_of(_own_font())
    families = _families(frozenset(missing)) if missing else []
    for text in texts if families else []:
        text.set_fontfamily([*text.get_fontfamily(), *(name for name, _ in families)])
    missing -= {c for _, had in families for c in had}
    if missing:
        warnings.warn(
            f"no font that is installed has {_listed(missing)}: the picture has boxes for them "
            "(the Noto fonts have the letters of all languages)",
            LetteringWarning,
            stacklevel=4,
        )
    _check_joining(letters)


def _foreign_texts(figure: Any) -> list[Any]:
    """Return all texts but the numbers along the axes."""
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    made = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):
                made |= {id(text) for tick in axis.get_major_ticks() for text in _ends(tick)}
            made |= {id(text) for tick in axis.get_minor_ticks() for text in _ends(tick)}
            made.add(id(axis.get_offset_text()))
    return [text for text in figure.findobj(Text) if id(text) not in made]


def _ends(tick: Any) -> tuple[Any, Any]:
    return tick.label1, tick.label2


def _own_font() -> str:
    """Return the file of the default font."""
    from matplotlib import font_manager

    return str(font_manager.findfont(font_manager.FontProperties()))


@cache
def _letters_of(path: str) -> frozenset[str]:
    """Return the letters of a font file; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (RuntimeError, OSError, ValueError):
        return frozenset()


@cache
def _families(missing: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """Return the names of as few fonts as have the letters, and the letters of each."""
    left, found, new = set(missing), [], False
    while left:
        name, had = max(
            ((font.name, _letters_of(font.fname) & left) for font in _fonts(new)),
            key=lambda pair: len(pair[1]),
            default=("", frozenset[str]()),
        )
        if had:
            found.append((name, had))
            left -= had
        elif new:
            break
        new = True  # installed since matplotlib made its list
    return found


def _fonts(look: bool) -> list[Any]:
    """Return the regular fonts that matplotlib knows; `look` adds newly installed ones first."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    if look:
        known = {font.fname for font in manager.ttflist}
        for path in sorted(set(font_manager.findSystemFonts()) - known):
            try:
                manager.addfont(path)
            except (RuntimeError, OSError, ValueError):
                continue  # such as a font of coloured letters
    fonts = [f for f in manager.ttflist if f.style == "normal" and f.weight in (400, "normal")]
    return [f for f in fonts if not any(word in f.name.lower() for word in NO_LETTERS)]


def _check_joining(letters: set[str]) -> None:
    """Warn of scripts that an older matplotlib draws wrongly."""
    from matplotlib import ft2font

    joined = {c for c in letters if any(low <= c <= high for low, high in JOINED)}
    if joined and not hasattr(ft2font, "__libraqm_version__"):
        warnings.warn(
            f"matplotlib before 3.11 neither joins nor turns {_listed(joined)}: the words are "
            "hard to read in the picture",
            LetteringWarning,
            stacklevel=5,
        )


def _listed(letters: set[str]) -> str:
    names = [f"{c!r}" for c in sorted(letters)[:SHOWN]]
    return ", ".join(names) + (
        f", ... ({count_of(len(letters), 'letter')})" if len(letters) > SHOWN else ""
    )
