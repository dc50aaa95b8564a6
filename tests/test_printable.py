"""What steers a terminal never reaches it, what is read aloud as JSON stays equal."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from fastlstm import printable as module
from fastlstm.printable import columns, cut, json_line, pad, printable, printable_lines

JOINERS = "\u200c\u200d"


def test_no_steering_character_is_left() -> None:
    """Of all characters: controls, lone surrogates, line separators, and invisible formats."""
    for number in range(sys.maxunicode + 1):
        letter = chr(number)
        kind = unicodedata.category(letter)
        steers = kind in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(letter) in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        )  # fmt: skip
        if steers or letter in "\u061c\u200b\u200e\u200f\u00ad\ufeff":
            assert printable(letter) == letter.encode("unicode_escape", "surrogatepass").decode()
        elif kind[0] in "LMNPS" or letter in " " + JOINERS:
            assert printable(letter) == letter


def test_lines_keep_their_ends() -> None:
    text = "a\tb\n\x1b]0;title\x07\x9b31m\r\u202e"
    assert printable_lines(text) == "a\tb\n\\x1b]0;title\\x07\\x9b31m\\r\\u202e"
    assert printable("a\tb\n") == "a\\tb\\n"


def test_json_is_equal_when_read() -> None:
    value = {"l\x9b\u202e": ["\x1b[2J\x7f\u2066\U000e0041", "caf\u00e9 \u6620\u753b", "\ud800"]}
    text = json_line(value)
    assert json.loads(text) == value
    assert printable(text) == text
    assert "caf\u00e9 \u6620\u753b" in text


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "a.."),
        ("\u6620\u753b\u6620", 6, "\u6620\u753b\u6620"),
        ("\u6620\u753b\u6620", 5, "\u6620.."),
        ("e\u0301" * 3, 3, "e\u0301" * 3),
        ("", 3, ""),
    ],
)
def test_cut_counts_columns(text: str, most: int, expected: str) -> None:
    assert cut(text, most) == expected
    assert columns(pad(text, most)) == most


def test_a_long_word_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cutting a word of 20,000 letters looks at those that are kept, and few more."""
    seen, real = [0], module._columns

    def count(letter: str) -> int:
        seen[0] += 1
        return real(letter)

    monkeypatch.setattr(module, "_columns", count)
    assert cut("\u00e9" * 20_000, 18) == "\u00e9" * 16 + ".."
    assert 0 < seen[0] < 200
