"""Damaged files of word vectors, of each format, also packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attack.files import mutate
from attack.files.outcome import read
from attack.fuzz.draw import Rng, chance, pick
from fastlstm.text import tokenize
from fastlstm.text.word_vectors import WordVectors, read_word_vectors

WORDS = ("the", "film", "Film", "caf\u00e9", "</s>", "<unk>", "\u5f88", "a.b", "#1", "\U0001f600")
SPACED = (". . .", "at name@domain.com", "1 / 2")  # words that hold spaces, as in GloVe's files
NUMBERS = (b"nan", b"inf", b"-1e999", b"0x1p3", b"1_0", b"\xc2\xa05", b"", b"1,5", b"+.5e+1")


def _zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.txt", data)
    return file.getvalue()


# Each tells by a checksum that it is damaged.
PACKERS: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: gzip.compress(data, 1), lambda data: bz2.compress(data, 1), lzma.compress, _zipped,
)  # fmt: skip


def _text(rng: Rng, words: list[str], vectors: Any, header: bool) -> bytes:
    lines = [f"{len(words)} {vectors.shape[1]}"] if header else []
    between, end = pick(rng, (" ", " ", "\t")), pick(rng, ("", "", " "))
    for word, vector in zip(words, vectors, strict=True):
        numbers = between.join(f"{x:.4g}" for x in vector.tolist())
        lines.append(f"{word}{between}{numbers}{end}")
    line_end = pick(rng, ("\n", "\n", "\r\n"))
    data = line_end.join(lines).encode() + line_end.encode()
    if chance(rng, 8):  # a number written strangely
        fields = data.split(b" ")
        fields[int(rng.integers(len(fields)))] = pick(rng, NUMBERS)
        data = b" ".join(fields)
    return data


def _binary(rng: Rng, words: list[str], vectors: Any) -> bytes:
    end = pick(rng, (b"", b"\n"))
    vectors = vectors.astype("<f4")
    if chance(rng, 8):
        vectors[0, 0] = pick(rng, (np.nan, np.inf, 3e38, 1e-45))
    rows = [w.encode() + b" " + v.tobytes() + end for w, v in zip(words, vectors, strict=True)]
    return f"{len(words)} {vectors.shape[1]}\n".encode() + b"".join(rows)


def _sound(rng: Rng) -> bytes:
    """A file of word2vec, text or binary, of fastText or of GloVe."""
    kind, size = int(rng.integers(3)), pick(rng, (1, 2, 3, 8))
    words = list(rng.permutation(WORDS)[: rng.integers(1, len(WORDS) + 1)])
    if kind == 2 and size > 1:
        words += list(SPACED[: rng.integers(len(SPACED) + 1)])
    vectors = rng.standard_normal((len(words), size)) * pick(rng, (1.0, 1e-3, 1e6))
    if kind == 0:
        return _binary(rng, words, vectors)
    return _text(rng, words, vectors, header=kind == 1)


def _check(found: WordVectors | None, room: int) -> None:
    if found is None:
        return
    assert len(found.extra) <= room, f"{len(found.extra)} words kept, room for {room}"
    assert set(found.vectors) <= {*WORDS, *found.extra}, "words that nobody asked for"
    for word, vector in found.vectors.items():
        assert vector.shape == (found.size,), f"{word!r} has shape {vector.shape}"
        assert vector.dtype == np.float32, f"{word!r} is of {vector.dtype}"
        assert np.isfinite(vector).all(), f"{word!r} is not finite"


def _same(one: WordVectors, other: WordVectors) -> bool:
    return one.extra == other.extra and {w: v.tobytes() for w, v in one.vectors.items()} == {
        w: v.tobytes() for w, v in other.vectors.items()
    }


def case(rng: Rng, folder: Path) -> None:
    """Damage a file, in its packing or before it is packed, and read it."""
    data, room = _sound(rng), pick(rng, (0, 0, 1, 5))
    path = folder / pick(rng, ("vectors.txt", "vectors.bin", "wiki.vec", "glove.txt.gz"))

    def load() -> Any:
        return read_word_vectors(path, WORDS, room, tokenize)

    if chance(rng, 3):
        pack = pick(rng, PACKERS)
        if chance(rng, 2):
            path.write_bytes(pack(data))
            whole = read(load, path)
            path.write_bytes(mutate.mutated(rng, pack(data)))
            found = read(load, path)
            if whole is not None and found is not None:
                assert _same(whole, found), "damage that a checksum tells was read over"
            return
        data = pack(mutate.mutated(rng, data))
    elif not chance(rng, 10):
        data = mutate.mutated(rng, data)
    path.write_bytes(data)
    _check(read(load, path), room)
