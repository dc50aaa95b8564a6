"""Pairs of token sequences: vocabulary, encoding, batches, reading files and folders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.text import Encoded
from fastlstm.text.pair_files import read_folder, read_pairs, split_pairs
from fastlstm.text.pairs import (
    BOS,
    EOS,
    Pairs,
    decode_tokens,
    encode_tokens,
    pair_batches,
    token_vocabulary,
    words_and_marks,
)

TEXTS = [["b", "a"], ["a", "c", "b", "a"], []]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't go!", ["don'", "t", "go", "!"]),
        ("J\u2019ai vu l'\u00c9t\u00e9\u2026", ["j'", "ai", "vu", "l'", "\u00e9t\u00e9", "\u2026"]),
        ("an upside-down t-shirt - 3,5", ["an", "upside-down", "t-shirt", "-", "3", ",", "5"]),
        (" ", []),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u0939\u0948\u0964",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u0948", "\u0964"],
        ),  # vowel signs
        ("E\u0301te\u0301, \u0130ki", ["\u00e9t\u00e9", ",", "iki"]),  # taken apart; a dotted I
        ("\u0645\u06cc\u200c\u0631\u0648\u0645", ["\u0645\u06cc\u200c\u0631\u0648\u0645"]),
        ("\u4f60\u597d\uff0cBob\uff01", ["\u4f60", "\u597d", "\uff0c", "bob", "\uff01"]),
        ("\u0e17\u0e35\u0e48\u0e19\u0e35\u0e48", ["\u0e17\u0e35\u0e48", "\u0e19\u0e35\u0e48"]),
        ("ok\U0001f44d\U0001f3fd!", ["ok", "\U0001f44d\U0001f3fd", "!"]),
    ],
)
def test_words_and_marks(text: str, tokens: list[str]) -> None:
    assert words_and_marks(text) == tokens


def test_vocabulary_goes_by_frequency() -> None:
    marks = ["<pad>", "<unk>", "<s>", "</s>"]
    assert token_vocabulary(TEXTS).words == [*marks, "a", "b", "c"]
    assert token_vocabulary(TEXTS, 2).words == [*marks, "a", "b"]
    with pytest.raises(ValueError, match="min_count is 0, expected at least 1"):
        token_vocabulary(TEXTS, 0)


def test_encoding_and_back() -> None:
    vocab = token_vocabulary(TEXTS)
    encoded = encode_tokens([*TEXTS, ["a", "new", "c"]], vocab)
    assert [encoded.row(n).tolist() for n in range(4)] == [[5, 4], [4, 6, 5, 4], [], [4, 1, 6]]
    assert decode_tokens(encoded.row(1), vocab) == TEXTS[1]
    marked = encode_tokens(TEXTS, vocab, marks=True)
    assert [marked.row(n).tolist() for n in range(3)] == [[2, 5, 4, 3], [2, 4, 6, 5, 4, 3], [2, 3]]


def test_words_that_look_like_marks_are_unknown() -> None:
    texts = [["</s>", "a", "<pad>", "<s>"]]
    vocab = token_vocabulary(texts)
    assert vocab.words[4:] == ["a"]
    assert encode_tokens(texts, vocab).row(0).tolist() == [1, 4, 1, 1]


def pairs(lengths: list[tuple[int, int]]) -> Pairs:
    """Row n holds n + 4 as often as it is long."""
    sources = [[n + 4] * s for n, (s, _) in enumerate(lengths)]
    targets = [[BOS, *[n + 4] * t, EOS] for n, (_, t) in enumerate(lengths)]
    return Pairs(*(rows_of(rows) for rows in (sources, targets)))


def rows_of(rows: list[list[int]]) -> Encoded:
    flat = np.array([i for row in rows for i in row], np.int32)
    return Encoded.from_lengths(flat, [len(row) for row in rows], np.zeros(len(rows), int))


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(1, 9),
    st.none() | st.integers(0, 9),
)
def test_every_pair_once_and_whole(
    lengths: list[tuple[int, int]], size: int, seed: int | None
) -> None:
    seen = []
    for batch in pair_batches(pairs(lengths), size, seed=seed):
        words, labels = 0, batch.labels.tolist()
        rows = (batch.source, batch.source_lengths, batch.target, batch.target_lengths, batch.index)
        for source, s, target, t, n in zip(*rows, strict=True):
            assert (s, t) == (lengths[n][0], lengths[n][1] + 1)
            assert source[:s].tolist() == [n + 4] * s
            assert target[:t].tolist() == [BOS, *[n + 4] * (t - 1)]
            assert labels[:t] == [*[n + 4] * (t - 1), EOS]
            labels, words = labels[t:], words + s + t
            seen.append(int(n))
        assert labels == []
        assert batch.words == words
        assert batch.inputs == (
            batch.source, batch.source_lengths, batch.target, batch.target_lengths,
        )  # fmt: skip
        longest = max(batch.source_lengths), max(batch.target_lengths)
        assert (batch.source.shape[1], batch.target.shape[1]) == (max(1, longest[0]), longest[1])
    assert sorted(seen) == list(range(len(lengths)))


def test_batches_have_like_lengths_and_go_on_anywhere() -> None:
    rng = np.random.default_rng(0)
    data = pairs([tuple(row) for row in rng.integers(0, 20, (200, 2)).tolist()])
    whole = [batch.index.tolist() for batch in pair_batches(data, 10, seed=1, epoch=2)]
    rest = [batch.index.tolist() for batch in pair_batches(data, 10, seed=1, epoch=2, start=7)]
    assert rest == whole[7:]
    assert whole != [batch.index.tolist() for batch in pair_batches(data, 10, seed=1, epoch=3)]
    for batch in pair_batches(data, 10, seed=1, bucket=20):
        assert np.ptp(batch.source_lengths) <= 3
    with pytest.raises(ValueError, match="start is 21, expected 0 to 20"):
        pair_batches(data, 10, start=21)


def test_pairs_that_do_not_fit() -> None:
    source = rows_of([[4], [5]])
    with pytest.raises(ValueError, match="target has 1 row, expected 2"):
        Pairs(source, rows_of([[BOS, EOS]]))
    with pytest.raises(ValueError, match="target has a row without both marks"):
        Pairs(source, rows_of([[BOS, EOS], [EOS]]))


def test_a_file_of_pairs(tmp_path: Path) -> None:
    path = tmp_path / "fra.txt"
    path.write_text("Go.\tVa !\tCC-BY\n\nI am here.\tJe suis l\u00e0.\n", encoding="utf-8")
    first = (["go", "."], ["va", "!"])
    assert read_pairs(path) == [first, (["i", "am", "here", "."], ["je", "suis", "l\u00e0", "."])]
    assert read_pairs(path, max_words=3) == [first]
    assert len(read_pairs(path, max_words=4)) == 2


WRONG = [
    (b"one two\n", 0, "line 1 has no tab, expected source<tab>target"),
    (b"a\tb\n\xff\tc\n", 0, "is not UTF-8 (byte 4): convert it first"),
    (b"", 0, "has no pairs"),
    (b"a b c\td\n", 2, "has no pairs of at most 2 words"),
    (b"a\tb\n", -1, "max_words is -1, expected 0 (no limit) or more"),
]


@pytest.mark.parametrize(("content", "max_words", "message"), WRONG, ids=[w[2] for w in WRONG])
def test_wrong_files(tmp_path: Path, content: bytes, max_words: int, message: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_pairs(path, max_words)


def test_no_sentence_held_back_is_trained_on() -> None:
    rng = np.random.default_rng(0)
    all_pairs: Any = [([str(i)], [str(n)]) for n, i in enumerate(rng.integers(0, 60, 300))]
    text = split_pairs(all_pairs, seed=1)
    assert sorted([*text.train, *text.validation, *text.test]) == sorted(all_pairs)
    parts = [{tuple(source) for source, _ in part} for part in text]
    assert len(parts[1]) == len(parts[2]) == sum(map(len, parts)) // 10
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert split_pairs(all_pairs, seed=1) == text
    assert split_pairs(all_pairs, seed=2) != text
    with pytest.raises(ValueError, match="there are 2 different sources, expected at least 10"):
        split_pairs([(["a"], ["b"]), (["c"], ["d"])])


def folder(path: Path) -> Path:
    for name, lines in (("train.lc", 3), ("val.lc", 2), ("test_2016_flickr.lc", 1)):
        for language in ("de", "en"):
            text = "".join(f"{language} {name} {n} &apos;s\n" for n in range(lines))
            (path / f"{name}.{language}").write_text(text, encoding="utf-8")
    return path


def test_a_folder(tmp_path: Path) -> None:
    text = read_folder(folder(tmp_path), "en", "de")
    assert [len(part) for part in text] == [3, 2, 1]
    assert text.train[2] == (["en", "train.lc", "2", "&apos;s"], ["de", "train.lc", "2", "&apos;s"])
    assert text.test[0][1][1] == "test_2016_flickr.lc"


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape("has none, expected one file train*.fr")):
        read_folder(folder(tmp_path), "fr", "en")
    (tmp_path / "val.lc.en").write_text("one\n", encoding="utf-8")
    with pytest.raises(ValueError, match="val.lc.de has 2 lines and val.lc.en 1, expected as many"):
        read_folder(tmp_path, "de", "en")
    (tmp_path / "val.raw.en").write_text("one\n", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=re.escape("has val.lc.en, val.raw.en, expected")):
        read_folder(tmp_path, "de", "en")


def test_other_separators_of_unicode_end_no_line(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("a\u2028b\tc\x85d\n", encoding="utf-8")
    assert read_pairs(tmp_path / "pairs.txt") == [(["a", "b"], ["c", "d"])]
