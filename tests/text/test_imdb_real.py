"""The real IMDB archive, where it is at hand: counts, the cache, and the bundled sample."""

from __future__ import annotations

import os
from pathlib import Path

import make_sample
import numpy as np
import pytest

from fastlstm.text import Vocabulary, imdb, load_imdb, tokenize
from fastlstm.text.reviews import read_archive
from fastlstm.text.sources import SAMPLE_PATH

_BESIDE = Path(__file__).parents[2].parent / "shared" / "data" / "imdb" / "aclImdb_v1.tar.gz"
ARCHIVE = Path(os.environ.get("FASTLSTM_TEST_IMDB") or _BESIDE)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not ARCHIVE.exists(), reason="no IMDB archive: set FASTLSTM_TEST_IMDB to its path"
    ),
]


def test_load_keep_and_load_again(monkeypatch):
    first = load_imdb(ARCHIVE)
    monkeypatch.setattr(imdb, "_read", None)  # from now on there is only what was kept
    second = load_imdb(ARCHIVE)
    assert first.complete
    assert first.notice == ""
    assert len(first.vocab) == 20_000
    for a, b in ((first.train, second.train), (first.test, second.test)):
        assert np.array_equal(a.tokens, b.tokens)
        assert np.array_equal(a.offsets, b.offsets)
        assert np.bincount(a.labels).tolist() == [12_500, 12_500]
        assert (a.lengths > 0).all()
        assert 225 < a.lengths.mean() < 240
    assert first.vocab.words[2:7] == ["the", "and", "a", "of", "to"]


def test_words_against_a_plain_recount():
    """The quick path through the whole archive against the slow and obvious one."""
    reviews = {split: [] for split in ("train", "test")}
    for review in read_archive(ARCHIVE):
        reviews[review.split].append((review.label, review.name, review.raw.decode("utf-8")))
    texts = [text for _, _, text in sorted(reviews["train"])]
    vocab = Vocabulary.from_texts(texts, 5000)
    data = load_imdb(ARCHIVE, vocab_size=5000, cache=False)
    assert data.vocab.words == vocab.words
    for n in range(0, 25_000, 251):
        expected = [vocab.id(word) for word in tokenize(texts[n])]
        assert data.train.row(n).tolist() == expected


def test_the_bundled_sample_is_made_from_it_byte_for_byte(tmp_path):
    make_sample.main([str(ARCHIVE), "--out", str(tmp_path / "sample.bz2")])
    assert (tmp_path / "sample.bz2").read_bytes() == SAMPLE_PATH.read_bytes()
