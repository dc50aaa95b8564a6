"""Pretrained word vectors: which of those of a file, or of a mapping, some words have.

A file is read once, from front to end, and only the vectors that are asked for are kept: so it may
be larger than the memory. It may be packed (gzip, bzip2, xz, zip).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from fastlstm.files.naming import named_path
from fastlstm.text.packed import open_unpacked
from fastlstm.text.vector_file import LookAhead, Record, VectorFile
from fastlstm.text.vocabulary import SPECIAL


class WordVectors(NamedTuple):
    """The vectors found for some words.

    Attributes
    ----------
    vectors : by word, float32 [D] each.
    extra : words that nobody asked for, in the order of the file.
    size : D.
    """

    vectors: dict[str, NDArray[np.float32]]
    extra: list[str]
    size: int


def read_word_vectors(
    path: str | os.PathLike[str], wanted: Collection[str], room: int = 0,
    tokenize: Callable[[str], Sequence[str]] = lambda word: [word],
) -> WordVectors:  # fmt: skip
    """Read the vectors of the `wanted` words from a file.

    A word has the first vector of its own spelling; without one, the first of a word that is equal
    in lower case, however its accents are written. The numbers of words that are not kept are
    counted, but not looked at.

    Parameters
    ----------
    path : the file.
    wanted : words.
    room : up to so many other words are kept as well, the first ones of the file that `tokenize`
        leaves as they are.
    tokenize : from a text to its words.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is no such file or damaged: a vector has too few or too many numbers, one that is no
        number or not finite, the file ends before or after what it says, or more than one word in
        twenty is not UTF-8 (fewer are left out). Names the file and the line.
    """
    path = named_path(path)
    with open_unpacked(path) as source:
        file = VectorFile(path, LookAhead(source))
        found = _choose(file.records(), file.parse, wanted, room, tokenize)
        return found._replace(size=file.size)


def vectors_of_mapping(
    vectors: Mapping[str, Any], wanted: Collection[str], room: int = 0,
    tokenize: Callable[[str], Sequence[str]] = lambda word: [word],
) -> WordVectors:  # fmt: skip
    """Return vectors as `read_word_vectors`, of a mapping from words to arrays of one size.

    Raises TypeError or ValueError, which names the word, if one is no vector of finite numbers of
    the size of the first.
    """
    size = len(np.atleast_1d(next(iter(vectors.values())))) if vectors else 0

    def parse(word: str, value: Any) -> NDArray[np.float32]:
        array = np.asarray(value)
        if array.dtype.kind not in "iuf" or array.shape != (size,):
            raise ValueError(
                f"vectors[{word!r}] has shape {array.shape} and dtype {array.dtype}, expected "
                f"({size},) numbers, as that of the first word"
            )
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError(f"vectors[{word!r}] holds NaN or infinity, expected finite numbers")
        return array

    if not all(isinstance(word, str) for word in vectors):
        raise TypeError("vectors has keys that are no strings, expected words")
    return _choose(vectors.items(), parse, wanted, room, tokenize)._replace(size=size)


def _choose(
    records: Iterable[Record], parse: Callable[[str, Any], NDArray[np.float32]],
    wanted: Collection[str], room: int, tokenize: Callable[[str], Sequence[str]],
) -> WordVectors:  # fmt: skip
    """Return the vectors to keep; of the others nothing is kept."""
    own, lower = set(wanted), {_lower(word) for word in wanted}
    refused = own.union(SPECIAL)  # of other words
    exact: dict[str, NDArray[np.float32]] = {}
    similar: dict[str, NDArray[np.float32]] = {}
    extra: dict[str, NDArray[np.float32]] = {}
    for word, numbers in records:
        if word is None:
            continue
        if word in own:
            if word not in exact:
                exact[word] = parse(word, numbers)
        elif (small := _lower(word)) in lower:
            if small not in similar and small not in exact:
                similar[small] = parse(word, numbers)
        elif len(extra) < room and word not in refused and list(tokenize(word)) == [word]:
            extra[word] = parse(word, numbers)
            refused.add(word)
    found = {word: exact.get(word, similar.get(_lower(word))) for word in wanted}
    kept = {word: vector for word, vector in found.items() if vector is not None} | extra
    return WordVectors(kept, list(extra), 0)


def _lower(word: str) -> str:
    """Return a word in lower case, an accent being a part of its letter (normal form C)."""
    return (word if word.isascii() else normalize("NFC", word)).lower()
