"""Texts to words or to characters, by the rule that an analyzer's name stands for.

A text is cut in two steps: `normalize` makes a compact string of it, which `split` cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastlstm.text import words_1
from fastlstm.text.characters import characters, letters, mixed
from fastlstm.text.words import words

TOKENIZER_VERSION = 2  # to be raised with each change of a rule: it is stored with encodings

AUTO, WORD, CHAR, MIXED, WORD_1 = "auto", "word", "char", "mixed", "word-1"
RULES: dict[str, Callable[[str], str]] = {
    WORD: words,
    CHAR: str,
    MIXED: lambda text: mixed(words(text)),
    WORD_1: words_1.words,
}
"""From a text to its normalized form, by analyzer."""
CHOICES = (AUTO, *RULES)
UNITS = {WORD: "words", CHAR: "characters", MIXED: "characters and words", WORD_1: "words"}
"""What the analyzers cut texts into."""

# From each ASCII byte to its normalized one; `translate` wants 256 entries.
_ASCII = bytes(
    code if chr(code).isalnum() or chr(code) == "'" else ord(" ")
    for code in bytes(range(128)).lower()
) + bytes(128)


def normalize(raw: bytes, analyzer: str = WORD) -> str:
    """Return the words of a UTF-8 text, with spaces between; UnicodeDecodeError if it is none.

    For "char" it is the text as it is.
    """
    if raw.isascii() and analyzer != CHAR:  # as nine reviews in ten: by a table, which is fast
        return raw.replace(b"<br />", b" ").translate(_ASCII).decode("ascii")
    return RULES[analyzer](raw.decode("utf-8"))


def normalize_text(text: str, analyzer: str = WORD) -> str:
    """Normalize a text that is decoded."""
    # "replace" makes a question mark of a lone surrogate, which is no part of a word.
    return normalize(text.encode("utf-8", "replace"), analyzer)


def split(normalized: str, analyzer: str = WORD) -> list[str]:
    """Return the words or characters of what `normalize` returned."""
    return characters(normalized) if analyzer == CHAR else normalized.split()


def tokenize(text: str, analyzer: str = WORD) -> list[str]:
    """Return the words of a text in any script, or its characters.

    Parameters
    ----------
    text : any; half a character (a lone surrogate) is read as a question mark.
    analyzer : "word", "char", "mixed" or "word-1", as described below.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If there is no such analyzer.

    Notes
    -----
    The analyzer "word":

    1. The text is brought into Unicode's normal form C, so that an accent is the same whether it
       is a part of its letter or a character behind it.
    2. ``<br />`` becomes a space.
    3. Letters become lower case. The Turkish dotted capital is an i: "\u0130zmir" is "izmir", as is
       the "i\u0307zmir" that `str.lower` makes of it. A sigma at a word's end is the final one.
    4. The typographic apostrophe and the acute accent standing alone become ``'``.
    5. A word is a longest run of letters, digits (of any script) and apostrophes, with the
       combining marks behind any of them (accents, vowel signs, viramas, Hebrew and Arabic
       points) and with zero-width joiners and non-joiners between them.
    6. An emoji is a word of its own, with its modifiers: skin tone, the style U+FE0F, sequences
       joined to one picture, flags and keycaps. So are the symbols that are pictures in any
       style, such as a heart, a star, a smile or a telephone.
    7. All else separates words: white space, punctuation (the underscore and a point between
       digits included), other symbols, control characters, the soft hyphen, the zero-width space,
       and marks that follow none of the above.

    On ASCII text this is ``re.findall(r"[a-z0-9']+", text.lower().replace("<br />", " "))``.

    The analyzer "mixed" cuts those words further: each letter of a script that is written without
    spaces (Han, kana, Bopomofo, Yi, Thai, Lao, Khmer, Myanmar, Javanese, Balinese, Tai and
    others) is a unit of its own, with its marks. What is between them stays one, as "gpt4" and
    "2024".

    The analyzer "char" takes all characters of the text in normal form C, each with its marks:
    also spaces and punctuation, in the case they have. On ASCII text this is ``list(text)``.

    The analyzer "word-1" is that of fastlstm 0.1.0, whose runs keep it: "word" without 1, 6 and the
    marks of 5.

    Examples
    --------
    >>> tokenize("It's GREAT!<br />Caf\u00e9-society")
    ["it's", 'great', 'caf\u00e9', 'society']
    >>> tokenize("GPT4\u5f88\u597d\uff01", "mixed")
    ['gpt4', '\u5f88', '\u597d']
    """
    check_analyzer(analyzer)
    return split(normalize_text(text, analyzer), analyzer)


def check_analyzer(analyzer: str) -> None:
    """Raise ValueError unless there is such an analyzer."""
    if analyzer not in RULES:
        names = ", ".join(map(repr, RULES))
        raise ValueError(f"analyzer is {analyzer!r}, expected one of {names}")


def choose_analyzer(texts: Iterable[str], analyzer: str = AUTO) -> str:
    """Return an analyzer for some texts: itself, or instead of "auto" the one that suits them.

    That is "mixed" if more than half of all their letters are of scripts that are written without
    spaces, else "word".
    """
    if analyzer != AUTO:
        check_analyzer(analyzer)
        return analyzer
    counts = [letters(text) for text in texts]
    total, unspaced = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return MIXED if 2 * unspaced > total else WORD
