"""Keys of n-grams: what a stored model depends on."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.linear.hashing import extend, hash_characters, hash_tokens
from fastlstm.linear.ngrams import ngram_keys, spell


def test_hashes_stay_the_same() -> None:
    """Or no stored model would know its n-grams."""
    a, b = hash_tokens(["film", "\u5f88\u597d"])
    assert (int(a), int(b)) == (0x5B2CBEDED4014340, 0x5E7898EC4E3381CE)
    pair = extend(np.array([a]), np.array([b]))
    assert int(pair[0]) == 0x32D8E876AA276BCF
    assert int(hash_characters(np.array([ord("x")]))[0]) == 0x8A72D8011C88D01D


def test_ngrams_end_with_their_row() -> None:
    hashes = hash_tokens("a b c d".split())
    keys, inside = ngram_keys(hashes, np.array([0, 3, 3, 4]), 1, 3)
    assert inside.tolist() == [
        [True, True, True],
        [True, True, False],
        [True, False, False],
        [True, False, False],
    ]
    np.testing.assert_array_equal(keys[:, 0], hashes)
    alone, _ = ngram_keys(hashes[:3], np.array([0, 3]), 3, 3)
    assert alone[0, 0] == keys[0, 2]
    assert len(np.unique(keys[inside])) == inside.sum()


def test_order_matters() -> None:
    a, b = hash_tokens("ab")
    both = ngram_keys(np.array([a, b, a]), np.array([0, 3]), 2, 2)[0]
    assert both[0, 0] != both[1, 0]


def test_no_ngrams_of_nothing() -> None:
    keys, inside = ngram_keys(hash_tokens([]), np.array([0, 0]), 1, 3)
    assert keys.shape == inside.shape == (0, 3)


@pytest.mark.parametrize("lengths", [(1, 1), (2, 5), (3, 3), (5, 9)])
def test_characters_are_cut_as_scikit_learn_cuts_them(lengths: tuple[int, int]) -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    tokens = ["of", "film", "moving", "caf\u00e9", "\U0001f600\ufe0f", "film"]
    hashes, offsets = spell(tokens)
    keys, inside = ngram_keys(hashes, offsets, *lengths)
    cut = text.CountVectorizer(analyzer="char_wb", ngram_range=lengths).build_analyzer()
    for n, token in enumerate(tokens):
        part = slice(offsets[n], offsets[n + 1])
        padded = f" {token} "
        expected = [gram for gram in cut(token) if len(gram) >= lengths[0] or gram == padded]
        whole = [gram for gram in expected if lengths[0] <= len(gram)]
        found = keys[part][inside[part]]
        assert len(found) == len(whole)
        assert len(np.unique(found)) == len(set(whole))


def test_single_characters_are_not_spelt() -> None:
    hashes, offsets = spell(["a", "!", "ab", ""])
    assert offsets.tolist() == [0, 0, 0, 4, 4]
    assert len(hashes) == 4
    assert hashes[0] == hashes[3], "the edge"
    assert spell([])[1].tolist() == [0]
