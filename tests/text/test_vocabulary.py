from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.files import writing
from fastlstm.text import PAD, UNK, Vocabulary, tokenize
from fastlstm.text.tokenizer import RULES


@pytest.fixture
def vocab():
    return Vocabulary.from_texts(["the film the end", "The END, a cut"], 6)


def test_ids_go_by_frequency_then_spelling(vocab):
    assert vocab.words == ["<pad>", "<unk>", "the", "end", "a", "cut"]
    assert (PAD, UNK) == (0, 1)
    assert len(vocab) == 6


def test_order_of_texts_does_not_matter():
    texts = ["b a", "c c", "a d b"]
    assert (
        Vocabulary.from_texts(texts, 9).words
        == Vocabulary.from_texts(texts[::-1], 9).words
        == ["<pad>", "<unk>", "a", "b", "c", "d"]
    )


def test_encode_and_decode(vocab):
    ids = vocab.encode("The film's end: a THE")
    assert ids.dtype == np.int32
    assert ids.tolist() == [2, 1, 3, 4, 2]
    assert vocab.decode([*ids, 0, 0]) == "the <unk> end a the"
    assert vocab.encode("").shape == (0,)
    assert "film" not in vocab
    assert "end" in vocab


@given(st.lists(st.text(alphabet="abé '", max_size=12), min_size=1, max_size=8))
def test_decode_undoes_encode_when_every_word_is_known(texts):
    vocab = Vocabulary.from_texts(texts, 10_000)
    for text in texts:
        assert vocab.decode(vocab.encode(text)) == " ".join(tokenize(text))


def test_encode_texts(vocab):
    encoded = vocab.encode_texts(["the end", "", "cut zzz a"], [1, 0, 1])
    assert [encoded.row(n).tolist() for n in range(3)] == [[2, 3], [], [5, 1, 4]]
    assert encoded.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize("bad", [6, -1])
def test_decode_out_of_range(vocab, bad):
    with pytest.raises(IndexError, match=rf"ids has {bad}, expected 0 to 5"):
        vocab.decode([2, bad])


@pytest.mark.parametrize("size", [2, 0, -5])
def test_size_too_small(size):
    with pytest.raises(ValueError, match=f"vocab_size is {size}, expected at least 3"):
        Vocabulary.from_texts(["a"], size)


def test_words_must_be_distinct_and_start_with_the_special_ones():
    with pytest.raises(ValueError, match="starts with"):
        Vocabulary(["the", "a"])
    with pytest.raises(ValueError, match="1 repetition"):
        Vocabulary(["<pad>", "<unk>", "a", "a"])


def test_save_and_load(vocab, tmp_path):
    vocab.save(tmp_path / "vocab.json")
    assert Vocabulary.load(tmp_path / "vocab.json").words == vocab.words
    assert [p.name for p in tmp_path.iterdir()] == ["vocab.json"]


def test_words_of_any_script_survive_the_file(tmp_path):
    vocab = Vocabulary(["<pad>", "<unk>", "café", "映画", "it's"])
    vocab.save(tmp_path / "vocab.json")
    assert Vocabulary.load(tmp_path / "vocab.json").words == vocab.words


@pytest.mark.parametrize("analyzer", RULES)
def test_the_analyzer_survives_the_file(analyzer, tmp_path):
    vocab = Vocabulary.from_texts(["कि Ab 好书"], 99, analyzer)
    vocab.save(tmp_path / "vocab.json")
    again = Vocabulary.load(tmp_path / "vocab.json")
    assert (again.words, again.analyzer) == (vocab.words, analyzer)
    assert again.encode("कि Ab 好书").tolist() == vocab.encode("कि Ab 好书").tolist()
    assert UNK not in again.encode("कि Ab 好书")
    assert again.split("कि Ab 好书") == tokenize("कि Ab 好书", analyzer)


def test_a_file_of_version_1_keeps_its_rule(tmp_path):
    path = tmp_path / "vocab.json"
    about = {"format": "fastlstm-vocabulary", "version": 1, "tokenizer": 1}
    path.write_text(json.dumps({**about, "words": ["<pad>", "<unk>", "क"]}))
    vocab = Vocabulary.load(path)
    assert vocab.encode("की कि").tolist() == [2, 2]
    vocab.save(path)
    assert json.loads(path.read_text(encoding="utf-8")).keys() == {*about, "words"}
    assert Vocabulary.load(path).analyzer == "word-1"


def test_a_full_disk_leaves_the_earlier_file(vocab, tmp_path, monkeypatch):
    path = tmp_path / "vocab.json"
    vocab.save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Vocabulary(["<pad>", "<unk>", "new"]).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_load_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.json"):
        Vocabulary.load(tmp_path / "gone.json")


def test_load_a_file_cut_in_the_middle(vocab, tmp_path):
    path = tmp_path / "vocab.json"
    vocab.save(path)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"vocab.json is damaged"):
            Vocabulary.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is not a vocabulary of fastlstm"),
        ({"tokenizer": 99}, "tokenizer version 99"),
        ({"analyzer": "auto"}, "damaged: analyzer is 'auto', expected one of"),
        ({"analyzer": ["word"]}, "damaged: analyzer is"),
        ({"words": "abc"}, "damaged: no list of words"),
        ({"words": ["<pad>", "<unk>", 3]}, "damaged: no list of words"),
        ({"words": ["<pad>", "<unk>", "a", "a"]}, "damaged: words has 1 repetition"),
    ],
)
def test_load_a_foreign_file(vocab, tmp_path, change, message):
    path = tmp_path / "vocab.json"
    vocab.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        Vocabulary.load(path)
