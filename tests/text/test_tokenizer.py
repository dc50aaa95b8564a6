from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_sample import first_words

from fastlstm.text.tokenizer import normalize, tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("!?.", []),
        ("It's GREAT", ["it's", "great"]),
        ("one<br /><br />two", ["one", "two"]),
        ("Café-Société naïve", ["café", "société", "naïve"]),
        ("ÉTÉ", ["été"]),
        ("don\u2019t don\u00b4t don't", ["don't"] * 3),
        ("snake_case é_é", ["snake", "case", "é", "é"]),
        ("10/10, 3.5 stars", ["10", "10", "3", "5", "stars"]),
        ("'quoted' actors'", ["'quoted'", "actors'"]),
        ("a\x96b\x85c \u201cd\u201d", ["a", "b", "c", "d"]),
        ("кино 映画", ["кино", "映画"]),
        ("lone \ud800 surrogate", ["lone", "surrogate"]),
    ],
)
def test_words_of_a_text(text, words):
    assert tokenize(text) == words


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_on_ascii_it_is_the_usual_regular_expression(text):
    assert tokenize(text) == re.findall(r"[a-z0-9']+", text.lower().replace("<br />", " "))


@given(st.text())
def test_ascii_and_general_path_agree(text):
    # A word of another script sends the whole text down the general path.
    assert tokenize(f"{text} é") == [*tokenize(text), "é"]


def test_bytes_that_are_not_utf8_are_an_error():
    with pytest.raises(UnicodeDecodeError):
        normalize(b"caf\xe9")


@given(st.text(), st.integers(1, 5))
def test_first_words_keeps_that_many_words_and_the_text_as_it_is(text, count):
    cut = first_words(text, count)
    assert text.startswith(cut)
    assert len(tokenize(cut)) <= count or "İ" in text  # whose lower case is two words
    assert tokenize(cut)[:count] == tokenize(text)[: len(tokenize(cut))][:count]


def test_first_words_ends_at_the_word():
    assert first_words("One, two<br />three. four!", 3) == "One, two<br />three"
    assert first_words("One, two!", 3) == "One, two!"
