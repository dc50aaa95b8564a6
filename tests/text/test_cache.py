from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

from fastlstm.text import Encoded
from fastlstm.text.cache import CacheWarning, cached
from fastlstm.text.corpus import Corpus


def make() -> Corpus:
    train = Encoded.from_lengths([2, 3, 4, 6], [1, 3], [0, 1])
    test = Encoded.from_lengths([5, 2], [0, 2], [1, 0])
    return Corpus(train, test, ["<pad>", "<unk>", "the", "café", "it's"], ["naïve"], ["…"])


class Builder:
    """Builds the collection and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Corpus:
        self.calls += 1
        return make()


def same(a: Corpus, b: Corpus) -> bool:
    return (
        a.tokens == b.tokens
        and len(a.words) == len(b.words)
        and all(
            np.array_equal(getattr(x, name), getattr(y, name))
            for x, y in ((a.train, b.train), (a.test, b.test))
            for name in ("tokens", "offsets", "labels")
        )
    )


@pytest.fixture
def build() -> Builder:
    return Builder()


def test_built_once_then_read(tmp_path, build):
    for _ in range(3):
        assert same(cached(tmp_path, "name", "1", build), make())
    assert build.calls == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_changed_source_takes_the_place_of_the_old(tmp_path, build):
    for identity in ("1", "2", "2"):
        cached(tmp_path, "name", identity, build)
    assert build.calls == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_another_source_has_its_own_file(tmp_path, build):
    for name in ("a", "b", "a"):
        cached(tmp_path, name, "1", build)
    assert build.calls == 2


def test_a_new_rule_for_words_makes_it_anew(tmp_path, build, monkeypatch):
    cached(tmp_path, "name", "1", build)
    monkeypatch.setattr("fastlstm.text.cache.TOKENIZER_VERSION", 3)
    cached(tmp_path, "name", "1", build)
    assert build.calls == 2


def test_a_file_of_another_format_is_made_anew(tmp_path, build, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.text.cache.CACHE_VERSION", 1)
        cached(tmp_path, "name", "1", build)
    assert same(cached(tmp_path, "name", "1", build), make())
    assert build.calls == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_each_analyzer_has_its_own_file(tmp_path, build):
    for analyzer in ("word", "char", "word", "char"):
        cached(tmp_path, "name", "1", build, analyzer)
    assert build.calls == 2


def test_a_cut_file_is_made_anew_with_a_note(tmp_path, build):
    cached(tmp_path, "name", "1", build)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        with pytest.warns(CacheWarning, match="is damaged"):
            assert same(cached(tmp_path, "name", "1", build), make())
        assert path.read_bytes() == whole


def test_no_flipped_byte_goes_unnoticed(tmp_path, build):
    cached(tmp_path, "name", "1", build)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    noted = 0
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            assert same(cached(tmp_path, "name", "1", build), make())
        noted += any(note.category is CacheWarning for note in notes)
    assert noted > len(whole) / 6


def test_ids_past_the_words_are_damage(tmp_path, build):
    broken = make()._replace(words=["<pad>", "<unk>"], others=[], marks=[])
    cached(tmp_path, "name", "1", lambda: broken)
    with pytest.warns(CacheWarning, match="past the 2 words"):
        assert same(cached(tmp_path, "name", "1", build), make())


def test_a_place_that_cannot_be_written_costs_only_the_cache(tmp_path, build):
    (tmp_path / "file").write_text("not a folder")
    with pytest.warns(CacheWarning, match="cannot keep the encoded texts"):
        assert same(cached(tmp_path / "file", "name", "1", build), make())


def test_what_cannot_be_read_is_not_called_damaged(tmp_path, build):
    cached(tmp_path, "name", "1", build)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()
    with pytest.warns(CacheWarning) as notes:
        assert same(cached(tmp_path, "name", "1", build), make())
    told = [str(note.message) for note in notes]
    assert "cannot be read" in told[0]
    assert "is a folder" in told[0]
    assert told[1].startswith("cannot keep the encoded texts")


def test_what_a_killed_process_left_half_is_removed_a_day_later(tmp_path, build):
    cached(tmp_path, "a", "1", build)
    (name,) = (path.name for path in tmp_path.iterdir())
    old, young, theirs = (
        tmp_path / f".{part}.0123abc{n}.tmp" for n, part in enumerate((name, name, "other.npz"))
    )
    for path in (old, young, theirs):
        path.write_bytes(b"half")
    for path in (old, theirs):
        os.utime(path, (0, 0))
    cached(tmp_path, "a", "2", build)
    assert {path.name for path in tmp_path.iterdir()} == {name, young.name, theirs.name}
