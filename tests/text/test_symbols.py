"""Tokens of a language model: characters and words, numbers and back, on disk."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from fastlstm.text import Symbols

LINES = " a <unk> b a \n\nb N a\n"


def test_characters() -> None:
    symbols = Symbols.from_text("banana\n", "char")
    assert symbols.tokens == ["<unk>", "a", "n", "\n", "b"]
    ids = symbols.encode("nab\nxé")
    assert ids.dtype == np.int32
    assert ids.tolist() == [2, 1, 4, 3, 0, 0]
    assert symbols.decode(ids) == "nab\n\ufffd\ufffd"


def test_words() -> None:
    """As Penn Treebank is counted: a line's end is a token, <unk> may stand in the text."""
    symbols = Symbols.from_text(LINES, "word")
    assert symbols.tokens == ["<unk>", "<eos>", "a", "b", "N"]
    ids = symbols.encode(LINES)
    assert ids.tolist() == [2, 0, 3, 2, 1, 1, 3, 4, 2, 1]
    assert symbols.encode("a b").tolist() == [2, 3, 1]
    assert symbols.encode("").tolist() == []
    assert symbols.encode("new a\n").tolist() == [0, 2, 1]
    assert symbols.decode(ids) == "a <unk> b a\n\nb N a\n"
    assert repr(symbols) == "Symbols(word, 5 tokens)"


def test_the_most_frequent_are_kept() -> None:
    assert Symbols.from_text(LINES, "word", 3).tokens == ["<unk>", "<eos>", "a"]
    assert Symbols.from_text(LINES, "word", 99).tokens == Symbols.from_text(LINES, "word").tokens
    for size in (-1, 1):
        with pytest.raises(ValueError, match=f"size is {size}, expected at least 2"):
            Symbols.from_text(LINES, "word", size)


@pytest.mark.parametrize("level", ["char", "word"])
def test_saved_and_loaded(level: str, tmp_path) -> None:
    symbols = Symbols.from_text("Ünï cödé\nb", level)
    symbols.save(tmp_path / "symbols.json")
    again = Symbols.load(tmp_path / "symbols.json")
    assert (again.level, again.tokens) == (level, symbols.tokens)
    assert [p.name for p in tmp_path.iterdir()] == ["symbols.json"]


DAMAGED = [
    ("[1, 2", "is damaged: not JSON"),
    ("[1, 2]", "is not a list of a language model's tokens"),
    ({"format": "other"}, "is not a list of a language model's tokens"),
    ({"version": 2}, "has version 2, expected 1"),
    ({"tokens": ["<unk>", 3]}, "is damaged: no list of tokens"),
    ({"tokens": None}, "is damaged: no list of tokens"),
    ({"tokens": ["a"]}, "is damaged: tokens starts with ['a']"),
    ({"level": "line"}, "is damaged: level is 'line', expected one of char, word"),
]


@pytest.mark.parametrize(("content", "message"), DAMAGED, ids=[m for _, m in DAMAGED])
def test_damaged_files(content: object, message: str, tmp_path) -> None:
    path = tmp_path / "symbols.json"
    Symbols.from_text("ab", "char").save(path)
    if isinstance(content, dict):
        content = json.dumps({**json.loads(path.read_text()), **content})
    path.write_text(str(content))
    with pytest.raises(ValueError, match=re.escape(f"{path} {message}")):
        Symbols.load(path)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="level is 'byte', expected one of char, word"):
        Symbols("byte", ["<unk>"])
    with pytest.raises(ValueError, match="tokens has 1 repetition"):
        Symbols("char", ["<unk>", "a", "a"])
    with pytest.raises(IndexError, match="ids has 2, expected 0 to 1"):
        Symbols("char", ["<unk>", "a"]).decode([1, 2])
