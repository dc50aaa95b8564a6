"""Files of pretrained word vectors: every kind, what is kept of them, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.text import vector_file
from fastlstm.text.word_vectors import WordVectors, read_word_vectors, vectors_of_mapping

WORDS = ["the", "Cat", "né", "sat"]
TABLE = np.array([[0.5, -1.25, 3e-3], [1, 2, 3], [-0.1, 0, 7], [1e10, 4, 5]], np.float32)


def lines(end: str = "\n", between: str = " ") -> bytes:
    rows = [between.join([w, *map(repr, v.tolist())]) for w, v in zip(WORDS, TABLE, strict=True)]
    return "".join(row + end for row in rows).encode()


def binary(after: bytes = b"") -> bytes:
    parts = zip(WORDS, TABLE, strict=True)
    return b"4 3\n" + b"".join(w.encode() + b" " + v.tobytes() + after for w, v in parts)


KINDS: dict[str, bytes] = {
    "glove": lines(),
    "word2vec text": b"4 3\n" + lines(" \n"),
    "fasttext vec": b"4 3\n" + lines(),
    "windows": b"4 3\r\n" + lines("\r\n"),
    "tabs": lines(between="\t"),
    "byte order mark": b"\xef\xbb\xbf4 3\n" + lines(),
    "no last end": lines()[:-1],
    "word2vec binary": binary(),
    "word2vec binary, lines": binary(b"\n"),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda raw: raw, "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
}  # fmt: skip


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def same(found: WordVectors, expected: dict[str, Any]) -> None:
    assert list(found.vectors) == list(expected)
    for word, vector in expected.items():
        assert found.vectors[word].dtype == np.float32
        np.testing.assert_array_equal(found.vectors[word], vector)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str, packed: str, tmp_path: Path) -> None:
    file = write(tmp_path / "any.name", PACKED[packed](KINDS[kind]))
    found = read_word_vectors(file, ["sat", "né", "dog", "the"])
    same(found, {"sat": TABLE[3], "né": TABLE[2], "the": TABLE[0]})
    assert (found.size, found.extra) == (3, [])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_pieces_of_any_size(kind: str, chunk: int, tmp_path: Path, monkeypatch: Any) -> None:
    file = write(tmp_path / "vectors", KINDS[kind])
    read = vector_file.LookAhead.read
    # after the look ahead, which the header needs
    monkeypatch.setattr(vector_file.LookAhead, "read", lambda self: piece(self, read, chunk))
    same(read_word_vectors(file, WORDS), dict(zip(WORDS, TABLE, strict=True)))


def piece(ahead: Any, read: Any, size: int) -> bytes:
    ahead._next = read(ahead)
    given = ahead.look(size)
    ahead.skip(size)
    return given


def test_the_own_spelling_comes_first_and_then_the_lower_case(tmp_path: Path) -> None:
    raw = b"Apple 1 1\napple 2 2\napple 3 3\nPEAR 4 4\nPear 5 5\nfig 6 6\n"
    file = write(tmp_path / "v.txt", raw)
    found = read_word_vectors(file, ["apple", "pear", "Fig", "plum"])
    same(found, {"apple": [2, 2], "pear": [4, 4], "Fig": [6, 6]})
    decomposed = write(tmp_path / "d.txt", "Cafe\u0301 1\n".encode())
    same(read_word_vectors(decomposed, ["caf\u00e9"]), {"caf\u00e9": [1]})
    again = read_word_vectors(file, ["Apple", "apple"])
    same(again, {"Apple": [1, 1], "apple": [2, 2]})


def test_words_with_spaces(tmp_path: Path) -> None:
    file = write(tmp_path / "v.txt", b"the 1 2\n. . . 3 4\nat a@b.c 5 6\n 7 8\ncat 9 10\n\n")
    found = read_word_vectors(file, ["cat", ". . .", "at a@b.c", "."])
    same(found, {"cat": [9, 10], ". . .": [3, 4], "at a@b.c": [5, 6]})


def test_other_words_as_long_as_there_is_room(tmp_path: Path) -> None:
    file = write(tmp_path / "v.txt", b"the 1\nA, 2\nDog 3\na 4\ncat 5\na 6\ndog 7\nsat 8\n")
    found = read_word_vectors(file, ["cat"], 3, lambda text: re.findall("[a-z]+", text.lower()))
    same(found, {"cat": [5], "the": [1], "a": [4], "dog": [7]})
    assert found.extra == ["the", "a", "dog"]
    special = write(tmp_path / "s.txt", b"<pad> 1\n<unk> 2\na 3\n")
    assert read_word_vectors(special, ["cat"], 3).extra == ["a"]
    assert read_word_vectors(file, ["cat"], 1).extra == ["the"]


def test_a_few_words_that_are_not_utf_8_are_left_out(tmp_path: Path) -> None:
    good = b"".join(b"w%d 1 2\n" % n for n in range(40))
    file = write(tmp_path / "v.txt", good + b"caf\xe9 3 4\n" + b"last 5 6\n")
    same(read_word_vectors(file, ["last", "caf"]), {"last": [5, 6]})


V = "{path}"
BAD: list[tuple[bytes, str]] = [
    (b"", V + " is empty, expected word vectors"),
    (b" \n", V + " is empty"),
    (b"hello world\n", V + " line 1 is 'hello world', expected a word and its numbers, or how"),
    (b"the 1 2\ncat 1\n", V + " line 2 ('cat') has 1 number, expected 2, as the first line says"),
    (b"the 1 2\ncat 1 2 3\n", V + " line 2 ('cat 1') has 3 numbers, expected 2"),
    (b"the 1\ncat\n", V + " line 2 ('cat') has 0 numbers, expected 1, as the first line says by"),
    (b"the 1 2\ncat 1 2\x0b3\n", V + " line 2 ('cat') has 3 numbers, expected 2"),
    (b"the 1 2\ncat 1 x\n", V + " line 2 has 'x' where a number is expected"),
    (b"the 1 2\ncat 1 nan\n", V + " line 2 ('cat'): its number 2 is nan, expected a finite one"),
    (b"the 1 2\ncat 1e39 2\n", V + " line 2 ('cat'): its number 1 is inf"),
    (b"3 2\nthe 1 2\ncat 1 2\n", V + " has 2 vectors, but its first line says 3: it is damaged"),
    (b"1 2\nthe 1 2\ncat 1 2\n", V + " has 2 vectors, but its first line says 1"),
    (b"2 2\nthe 1 2\ncat 1", V + " line 3 ('cat') has 1 number, expected 2, as the first"),
    (b"0 2\n", V + " line 1 says 0 vectors of 2 numbers, expected at least one of 1 to 16,384"),
    (b"5 0\n", V + " line 1 says 5 vectors of 0 numbers"),
    (b"1 99999999\nthe 1 2\n", V + " line 1 says 1 vector of 99,999,999 numbers"),
    (b"the 1\n" + b"x" * (1 << 23), V + " line 2 has no end within 4,194,304 bytes"),
    (b"the 1 2\ncaf\xe9 1 2\n", V + " is not UTF-8: 1 of its 2 words are not"),
    (b"\xba\x16\x4f\x2f\0\0", V + " is a model of fastText (.bin), expected its vectors (.vec)"),
    (b"PK\x03\x04 nothing", V + " is damaged or half a download"),
    (binary()[:-3], V + " vector 4 is not whole: the file ends, but its first line says 4 vectors"),
    (binary()[:-14], V + " vector 4 is not whole"),
    (binary() + b"more", V + " goes on after the 4 vectors that its first line says"),
    (b"999999999999999 3\n" + binary()[4:], V + " vector 5 is not whole"),
    (
        b"2 2\ncat " + np.array([1, np.inf], "<f4").tobytes() + b"a " + b"\1" * 8,
        V + " vector 1 ('cat'): its number 2 is inf",
    ),
    (
        b"2 2\ncat " + b"\1" * 8 + b"\2" * 9000,
        V + " vector 2 has no space within 4,096 bytes after its word",
    ),
]


@pytest.mark.parametrize(("raw", "message"), BAD, ids=[f"{n}" for n in range(len(BAD))])
def test_damaged_vectors(raw: bytes, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "v.txt", raw)
    with pytest.raises(ValueError, match=re.escape(message.replace(V, str(file)))):
        read_word_vectors(file, ["cat", "the"])


def test_a_vector_that_is_not_kept_is_not_looked_at(tmp_path: Path) -> None:
    file = write(tmp_path / "v.txt", b"the 1 2\ncat 1 x\n")
    same(read_word_vectors(file, ["the"]), {"the": [1, 2]})


def test_every_cut_and_many_changes_of_a_file_are_an_error_or_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for raw in (KINDS["glove"], KINDS["word2vec text"], KINDS["word2vec binary"]):
        cut = [raw[:size] for size in range(0, len(raw), 3)]
        for _ in range(60):
            changed = bytearray(raw)
            changed[rng.integers(len(raw))] = rng.integers(256)
            cut.append(bytes(changed))
        for other in cut:
            file = write(tmp_path / "v", other)
            found = None
            with suppress(ValueError):
                found = read_word_vectors(file, WORDS, 2)
            for vector in found.vectors.values() if found else ():
                assert vector.shape == (found.size,)
                assert np.isfinite(vector).all()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        read_word_vectors(tmp_path / "none", ["a"])
    with pytest.raises(OSError, match="is a folder, expected a file"):
        read_word_vectors(tmp_path, ["a"])


def test_a_mapping() -> None:
    given = {"Cat": [1, 2], "dog": np.array([3.0, 4.0]), "cow": np.array([5, 6], np.float16)}
    found = vectors_of_mapping(given, ["cat", "dog"], 5)
    same(found, {"cat": [1, 2], "dog": [3, 4], "cow": [5, 6]})
    assert (found.extra, found.size) == (["cow"], 2)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"a": [1, 2], "b": [1]}, ValueError, "vectors['b'] has shape (1,) and dtype int64"),
        ({"a": [1, 2], "b": ["x", "y"]}, ValueError, "vectors['b'] has shape (2,) and dtype <U1"),
        ({"a": [1, 2], "b": [1, np.nan]}, ValueError, "vectors['b'] holds NaN or infinity"),
        ({"a": [1, 2], "b": [1, 1e39]}, ValueError, "vectors['b'] holds NaN or infinity"),
        ({"a": [1, 2], 3: [1, 2]}, TypeError, "vectors has keys that are no strings"),
    ],
)
def test_a_mapping_that_does_not_fit(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        vectors_of_mapping(given, ["a", "b"])
