"""Words and the marks between them, against the words of `tokenize`."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.text.marks import is_mark, normalize_with_marks, tokens_with_marks
from fastlstm.text.tokenizer import CHAR, RULES, split, tokenize

TEXTS = [
    "It's GREAT!<br />caf\u00e9-society, 3.5 stars (really?!)",
    "snake_case \u2019tis \u00b4quoted\u00b4 \u201cso\u201d \u2013 50\u00a0%",
    "\u0928\u092e\u0938\u094d\u0924\u0947, \u0926\u0941\u0928\u093f\u092f\u093e\u0964",
    "GPT4\u5f88\u597d\uff01\u4f60\u597d\u3002",
    "e\u0301te\u0301! \U0001f600\u2764\ufe0f \u00a9",
    "\u05e9\u05b8\u05dc\u05d5\u05b9\u05dd.",
    "tab\tline\nnull\x00 lone \ud800 end",
    "",
]


@pytest.mark.parametrize("analyzer", RULES)
@pytest.mark.parametrize("text", TEXTS)
def test_without_the_marks_they_are_the_words(text: str, analyzer: str) -> None:
    words, found = tokenize(text, analyzer), tokens_with_marks(text, analyzer)
    if analyzer == CHAR:
        assert found == words
        return
    left = list(found)
    for word in words:  # in their order, each after some marks
        while left[0] != word:
            mark = left.pop(0)
            assert len(mark) == 1
            assert unicodedata.category(mark)[0] in "PS"
        left.pop(0)
    assert all(unicodedata.category(mark)[0] in "PS" for mark in left)


def test_marks_are_tokens() -> None:
    found = tokens_with_marks(TEXTS[0])
    assert found[:6] == ["it's", "great", "!", "caf\u00e9", "-", "society"]
    assert tokens_with_marks(TEXTS[2])[-1] == "\u0964"
    assert tokens_with_marks(TEXTS[3], "mixed")[-4:] == ["\uff01", "\u4f60", "\u597d", "\u3002"]


PARTS = st.sampled_from(
    "aB'_!\u2019\u00b4\u0130\u0301\u0939\u094d\u5f88\u200d\ufe0f\u20e31#*\u2764 \n\x1c"
)


@pytest.mark.parametrize("analyzer", ["word", "mixed", "word-1"])
@given(text=st.text() | st.text(PARTS))
def test_words_and_marks_of_any_text(analyzer: str, text: str) -> None:
    tokens = tokens_with_marks(text, analyzer)
    marks = {token for token in tokens if not tokenize(token, analyzer)}
    assert [token for token in tokens if token not in marks] == tokenize(text, analyzer)
    assert all(len(mark) == 1 for mark in marks)
    assert {token for token in tokens if is_mark(token, analyzer)} == marks


@pytest.mark.parametrize("analyzer", RULES)
@given(
    text=st.text(st.characters(codec="utf-8"))
    | st.text(PARTS)
    | st.text(st.characters(max_codepoint=127))
)
def test_tokens_in_two_steps(analyzer: str, text: str) -> None:
    found = split(normalize_with_marks(text.encode(), analyzer), analyzer)
    assert found == tokens_with_marks(text, analyzer)


@pytest.mark.parametrize("analyzer", ["word", "mixed", "word-1"])
@given(text=st.text(st.characters(max_codepoint=127)))
def test_plain_texts_are_cut_as_all_others(analyzer: str, text: str) -> None:
    """There is a quick way for ASCII, which a letter beyond it bars."""
    assert tokens_with_marks(text + " \u00e9", analyzer) == [
        *tokens_with_marks(text, analyzer),
        "\u00e9",
    ]


@pytest.mark.parametrize("analyzer", ["word", "mixed"])
@given(text=st.text() | st.text(PARTS))
def test_accents_written_apart_give_the_same_tokens(analyzer: str, text: str) -> None:
    found = tokens_with_marks(text, analyzer)
    for form in ("NFC", "NFD"):
        assert tokens_with_marks(unicodedata.normalize(form, text), analyzer) == found


@pytest.mark.parametrize("word", ["caf\u00e9", "cafe\u0301", "\u0434\u0430"])
def test_an_underscore_is_a_mark_beside_any_word(word: str) -> None:
    found = tokens_with_marks(f"_a_{word}__")
    assert [unicodedata.normalize("NFC", token) for token in found] == [
        "_", "a", "_", unicodedata.normalize("NFC", word), "_", "_",
    ]  # fmt: skip
