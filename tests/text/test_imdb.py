"""`load_imdb`: which source it takes, what it says, and what it remembers."""

from __future__ import annotations

import hashlib
import shutil

import make_sample
import numpy as np
import pytest
from small_imdb import write_archive

from fastlstm.text import ChecksumError, IncompleteDataWarning, imdb, load_imdb, sources
from fastlstm.text.cache import CacheWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::fastlstm.text.imdb.IncompleteDataWarning"  # all data here is small
)


def rows(encoded) -> list[list[int]]:
    return [encoded.row(n).tolist() for n in range(len(encoded))]


def test_ids_go_by_frequency_in_the_training_part(folder):
    (folder / "test" / "pos" / "0_7.txt").write_text("zebra great zebra")
    data = load_imdb(folder)
    # 4 times; 3 times; twice; the rest once: by spelling among the equal
    words = "great | a film fun | awful boring it's not | an and bore café fine it loved"
    assert data.vocab.words[2:] == words.replace("|", "").split()
    assert "zebra" not in data.vocab
    assert data.vocab.decode(data.test.row(4)) == "<unk> great <unk>"
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0] * 4 + [1] * 4


def test_the_text_comes_back(folder):
    data = load_imdb(folder)
    assert data.vocab.decode(data.train.row(7)) == "loved it"
    assert data.vocab.decode(data.train.row(0)) == "an awful film boring"


def test_every_form_gives_the_same_words(folder, archive, kaggle):
    a, b = load_imdb(folder), load_imdb(archive)
    assert rows(a.train) == rows(b.train)
    assert rows(a.test) == rows(b.test)
    assert a.vocab.words == b.vocab.words
    assert len(load_imdb(kaggle).train) == 4


@pytest.mark.parametrize("cache", [True, False])
def test_a_smaller_vocabulary_is_the_front_of_the_larger(folder, cache):
    large, small = load_imdb(folder, cache=cache), load_imdb(folder, vocab_size=5, cache=cache)
    assert small.vocab.words == large.vocab.words[:5]
    assert small.train.tokens.max() == 4
    assert (small.train.tokens == np.where(large.train.tokens < 5, large.train.tokens, 1)).all()


@pytest.mark.parametrize("size", [2, -1])
def test_a_vocabulary_without_words(folder, size):
    with pytest.raises(ValueError, match=f"vocab_size is {size}"):
        load_imdb(folder, vocab_size=size)


@pytest.mark.parametrize("form", ["folder", "archive", "kaggle", "keras"])
def test_one_class_only(request, tmp_path, form, keras_arrays):
    if form == "keras":
        path = tmp_path / "imdb.npz"
        np.savez(path, **keras_arrays | {"y_test": np.array([1, 1])})
    else:
        path = request.getfixturevalue(form)
    if form == "folder":
        for review in (path / "test" / "neg").iterdir():
            review.unlink()
    if form == "kaggle":
        path.write_text("review,sentiment\na,positive\nb,negative\nc,positive\nd,positive\n")
    if form == "archive":
        write_archive(path, {f"aclImdb/{split}/pos/0_9.txt": b"a" for split in ("train", "test")})
    with pytest.raises(ValueError, match=r"reviews by class, expected some of each of neg, pos"):
        load_imdb(path)


# Which source


def test_an_environment_variable_names_the_source(folder, monkeypatch):
    monkeypatch.setenv("FASTLSTM_DATA", str(folder))
    assert load_imdb().source.startswith("extracted official archive aclImdb, 8 + 8 reviews")


def test_an_environment_variable_that_leads_nowhere_is_not_passed_over(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTLSTM_DATA", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="gone"):
        load_imdb()


def test_the_argument_comes_before_the_environment(folder, kaggle, monkeypatch):
    monkeypatch.setenv("FASTLSTM_DATA", str(folder))
    assert load_imdb(kaggle).source.startswith("Kaggle CSV")


def test_the_cache_folder_is_looked_into(archive, tmp_path):
    (tmp_path / "cache").mkdir()
    shutil.move(archive, tmp_path / "cache")
    assert load_imdb().source.startswith("official archive aclImdb_v1.tar.gz, 8 + 8 reviews")


def test_no_data_and_no_network_means_the_sample_and_says_so():
    with pytest.warns(IncompleteDataWarning, match="NOT the full data") as notes:
        data = load_imdb()
    assert data.source.startswith("bundled sample")
    assert "2,000 + 1,500 reviews, NOT the full data" in data.source
    assert not data.complete
    assert data.notice == str(notes[0].message)
    for part in ("No IMDB data was found", "cannot be reached", "25,000 + 25,000", "FASTLSTM_DATA"):
        assert part in data.notice


@pytest.mark.filterwarnings("error")
def test_the_sample_when_asked_for_needs_no_warning(monkeypatch):
    data = load_imdb("sample")
    assert (len(data.train), len(data.test), data.complete) == (2000, 1500, False)
    assert "NOT the full data" in data.notice
    monkeypatch.setenv("FASTLSTM_DATA", "sample")
    assert load_imdb().source == data.source


def test_the_archive_is_downloaded_once(archive, monkeypatch, tmp_path):
    content = archive.read_bytes()
    calls = []

    def download(url, target, *, sha256, progress):
        calls.append((url, sha256))
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
        return target

    monkeypatch.setattr(imdb, "download", download)
    assert load_imdb().source.startswith("official archive")
    assert load_imdb().source.startswith("official archive")
    assert calls == [(imdb.OFFICIAL_URL, imdb.OFFICIAL_SHA256)]


def test_a_download_that_is_not_the_archive_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "page").write_bytes(b"<html>")
    monkeypatch.setattr(imdb, "OFFICIAL_URL", (tmp_path / "page").as_uri())
    with pytest.raises(ChecksumError, match=hashlib.sha256(b"<html>").hexdigest()):
        load_imdb()


# Full or not


def test_less_than_the_full_data_is_said(folder):
    with pytest.warns(IncompleteDataWarning, match="NOT the full data, 8 \\+ 8 of 25,000"):
        data = load_imdb(folder)
    assert not data.complete
    assert "do not compare" in data.notice


@pytest.mark.filterwarnings("error")
def test_the_full_data_is_silent(folder, monkeypatch):
    monkeypatch.setattr(imdb, "OFFICIAL_ROWS", 8)
    data = load_imdb(folder)
    assert data.complete
    assert data.notice == ""
    assert data.source == "extracted official archive aclImdb, 8 + 8 reviews"


def test_the_sample_is_never_complete_whatever_its_size(folder, monkeypatch, tmp_path):
    make_sample.main([str(folder), "--out", str(tmp_path / "sample.bz2")])
    monkeypatch.setattr(sources, "SAMPLE_PATH", tmp_path / "sample.bz2")
    monkeypatch.setattr(imdb, "OFFICIAL_ROWS", 8)
    data = load_imdb("sample")
    assert (len(data.train), len(data.test), data.complete) == (8, 8, False)


def test_the_csv_is_not_the_official_split_and_says_so(kaggle):
    assert "first half train, second half test: not the official split" in load_imdb(kaggle).source


# The second start


def forbid(monkeypatch) -> None:
    def read(source, analyzer, *, marks):
        raise AssertionError("read again")

    monkeypatch.setattr(imdb, "read_texts", read)


@pytest.mark.parametrize("form", ["folder", "archive", "kaggle"])
def test_reviews_cut_by_another_analyzer(request, form):
    path = request.getfixturevalue(form)
    for analyzer in ("word", "char", "char"):  # the last one from the cache
        data = load_imdb(path, vocab_size=1000, analyzer=analyzer)
        assert data.vocab.analyzer == analyzer
        assert (" " in data.vocab) == (analyzer == "char")
        assert all(map(len, map(data.train.row, range(len(data.train)))))
    with pytest.raises(ValueError, match="analyzer is 'auto', expected one of"):
        load_imdb(path, analyzer="auto")


@pytest.mark.parametrize("form", ["folder", "archive", "kaggle"])
def test_the_second_start_reads_no_text(request, form, monkeypatch):
    path = request.getfixturevalue(form)
    first = load_imdb(path, vocab_size=100)
    forbid(monkeypatch)
    second = load_imdb(path, vocab_size=7)
    assert second.vocab.words == first.vocab.words[:7]
    assert rows(second.train) == rows(first.train.limit(7))
    assert second.source == first.source


def test_a_changed_source_is_read_again(folder, monkeypatch):
    load_imdb(folder)
    (folder / "train" / "pos" / "3_7.txt").write_text("new words here")
    assert "words" in load_imdb(folder).vocab


def test_no_cache(folder, tmp_path, monkeypatch):
    load_imdb(folder, cache=False)
    assert not (tmp_path / "cache").exists()
    load_imdb(folder)
    forbid(monkeypatch)
    with pytest.raises(AssertionError, match="read again"):
        load_imdb(folder, cache=False)


def test_a_damaged_cache_is_made_again(folder, tmp_path):
    first = load_imdb(folder)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:-50])
    with pytest.warns(CacheWarning, match="damaged"):
        assert rows(load_imdb(folder).train) == rows(first.train)


def test_keras(tmp_path, keras_arrays):
    np.savez(tmp_path / "imdb.npz", **keras_arrays)
    data = load_imdb(tmp_path / "imdb.npz", vocab_size=4)
    assert data.source == "Keras imdb.npz, 3 + 2 reviews, NOT the full data"
    assert rows(data.train) == [[1, 2, 3], [2, 1], [3, 3, 1, 2]]
    assert data.vocab.words == ["<pad>", "<unk>", "#1", "#2"]


def test_progress(folder, capsys):
    load_imdb(folder, cache=False)
    assert capsys.readouterr().err == ""
    load_imdb(folder, cache=False, progress=True)
    assert "encoding" in capsys.readouterr().err
