"""Texts numbered with the marks between their words, and the words of them alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastlstm.text import Encoded, imdb, load_imdb, tokenize
from fastlstm.text.corpus import Corpus, Texts, build_corpus, encode_with
from fastlstm.text.marks import is_mark, normalize_with_marks, tokens_with_marks
from fastlstm.text.tokenizer import RULES, normalize_text

pytestmark = pytest.mark.filterwarnings("ignore::fastlstm.text.imdb.IncompleteDataWarning")

TRAIN = ["It's GREAT, great!", "a film (1/10)", "", "caf\u00e9 - \u5f88\u597d\uff01"]
TEST = ["great? new words, new!", "\u2026 a _film_", "\u2764\ufe0f it's \u00a9"]


def corpus_of(analyzer: str, marks: bool = True) -> Corpus:
    def normal(text: str) -> str:
        if marks:
            return normalize_with_marks(text.encode(), analyzer)
        return normalize_text(text, analyzer)

    train, test = (Texts([normal(t) for t in texts], [0] * len(texts)) for texts in (TRAIN, TEST))
    return build_corpus(train, test, analyzer=analyzer)


def read(part: Encoded, tokens: list[str]) -> list[list[str]]:
    return [[tokens[i] for i in part.row(n)] for n in range(len(part))]


@pytest.mark.parametrize("analyzer", RULES)
def test_a_corpus_keeps_every_token(analyzer: str) -> None:
    corpus = corpus_of(analyzer)
    for part, texts in ((corpus.train, TRAIN), (corpus.test, TEST)):
        assert read(part, corpus.tokens) == [tokens_with_marks(text, analyzer) for text in texts]
    assert len(set(corpus.tokens)) == len(corpus.tokens)
    assert all(is_mark(token, analyzer) for token in corpus.marks)
    assert not any(is_mark(token, analyzer) for token in (*corpus.words, *corpus.others))
    known = {word for text in TRAIN for word in tokenize(text, analyzer)}
    assert set(corpus.words[2:]) == known
    assert not known & set(corpus.others)


@pytest.mark.parametrize("analyzer", RULES)
@pytest.mark.parametrize("size", [3, 6, 100])
def test_without_marks_the_words_have_the_ids_that_they_have_alone(
    analyzer: str, size: int
) -> None:
    marked, plain = corpus_of(analyzer), corpus_of(analyzer, marks=False)
    assert marked.words == plain.words
    assert marked.others == plain.others
    for one, other in ((marked.train, plain.train), (marked.test, plain.test)):
        a, b = marked.known(one, size), plain.known(other, size)
        for name in ("tokens", "offsets", "labels"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert a.tokens.max() < min(size, len(plain.words))


def test_another_collection_has_the_words_of_a_corpus() -> None:
    corpus = corpus_of("word")
    more = ["unheard, GREAT; great", "words?", ""]
    texts = Texts([normalize_with_marks(text.encode()) for text in more], [-1] * 3)
    found = encode_with(corpus.words, texts)
    assert read(found.train, found.tokens) == [tokens_with_marks(text) for text in more]
    assert found.words == corpus.words
    assert (list(found.others), list(found.marks)) == (["unheard", "words"], [",", ";", "?"])
    known = [["<unk>", "great", "great"], ["<unk>"], []]
    assert read(found.known(found.train, 100), corpus.words) == known
    assert len(found.test) == 0


@pytest.mark.parametrize("form", ["folder", "archive", "kaggle"])
@pytest.mark.parametrize("analyzer", ["word", "char"])
@pytest.mark.parametrize("cache", [True, False])
def test_reviews_have_their_marks(
    request: pytest.FixtureRequest, form: str, analyzer: str, cache: bool
) -> None:
    path = request.getfixturevalue(form)
    for _ in range(2):  # the second time from the cache
        data = load_imdb(path, vocab_size=9, analyzer=analyzer, cache=cache)
        assert data.corpus is not None
        found = read(data.corpus.train, data.corpus.tokens)
        assert tokens_with_marks("A great film.<br /><br />It's fun", analyzer) in found
        assert data.corpus.words[:9] == data.vocab.words
        known = data.corpus.known(data.corpus.train, 9)
        np.testing.assert_array_equal(known.tokens, data.train.tokens)
        assert ("," in data.corpus.marks) == (analyzer == "word")


def test_ranks_have_no_marks(tmp_path: Path, keras_arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "imdb.npz", **keras_arrays)  # type: ignore[arg-type]
    data = load_imdb(tmp_path / "imdb.npz")
    assert data.corpus is not None
    assert not data.corpus.marks
    np.testing.assert_array_equal(data.corpus.train.tokens, data.train.tokens)


@pytest.mark.parametrize("cache", [True, False])
def test_reviews_without_a_label_have_their_marks(folder: Path, cache: bool) -> None:
    (folder / "train/unsup/0_0.txt").write_text("Great; unheard <br />fun")
    (folder / "train/unsup/1_0.txt").write_text("- unheard")
    corpus = load_imdb(folder, cache=cache).corpus
    assert corpus is not None
    for _ in range(2):
        found = imdb.unlabelled_corpus(folder, cache=cache)
        rows = read(found.train, found.tokens)
        assert rows == [["great", ";", "unheard", "fun"], ["-", "unheard"]]
        assert found.words == corpus.words
