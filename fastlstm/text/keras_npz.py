"""Reading Keras's ``imdb.npz``: reviews as word ranks.

Its arrays hold Python lists, which NumPy pickles, and a pickle can run any code. So this unpickler
knows only the few names that such an array needs, each as a harmless stand-in, and no others.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from io import BytesIO
from itertools import chain
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.files.opening import read_bytes, read_text
from fastlstm.text.corpus import Corpus
from fastlstm.text.encoded import Encoded, Ints
from fastlstm.text.packed import DAMAGE
from fastlstm.text.vocabulary import SPECIAL, UNK

WORD_INDEX_NAME = "imdb_word_index.json"
_START, _INDEX_FROM = 1, 3  # the defaults of keras.datasets.imdb.load_data
_HIGHEST_RANK = 1 << 24  # the real file ends below 100,000
# What unpickling and reading a foreign file may raise.
_NOT_KERAS = (
    LookupError, TypeError, ValueError, AttributeError, EOFError, ArithmeticError, MemoryError,
    SyntaxError, TokenError,
)  # fmt: skip
MOST_BYTES = 1 << 29  # of an array; the real ones have 70 million


def read_keras(path: Path) -> Corpus:
    """Read the arrays ``x_train y_train x_test y_test`` of Keras.

    The file holds ranks: 1 is the most frequent word. In files saved after ``load_data()`` each
    review starts with 1, 2 is an unknown word, and ranks are higher by 3. The words are in a file
    ``imdb_word_index.json`` beside it; without that they are called ``#rank``, and a model trained
    on them cannot read new text. Raises ValueError if the file is damaged, lacks an array, or holds
    anything but lists of integers.
    """
    content = BytesIO(read_bytes(path))
    try:
        with zipfile.ZipFile(content) as archive:
            train, test = (_read_split(archive, split) for split in ("train", "test"))
    except (*_NOT_KERAS, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is not Keras's imdb.npz: {error}") from error
    except DAMAGE as error:
        raise ValueError(
            f"{path} is damaged or half a download: {error}; fetch it again"
        ) from error
    size = 1 + max(int(split.tokens.max(initial=UNK)) for split in (train, test))
    return Corpus(train, test, [*SPECIAL, *_words(path, size - len(SPECIAL))])


def _read_split(archive: zipfile.ZipFile, split: str) -> Encoded:
    # Each member is read whole, which compares its checksum, before it is looked at.
    labels = np.lib.format.read_array(_member(archive, f"y_{split}"), allow_pickle=False)
    if labels.dtype.kind not in "biuf" or not np.isin(labels, (0, 1)).all():
        raise ValueError(f"y_{split} has other labels than 0 and 1")
    ranks, lengths = _read_lists(_member(archive, f"x_{split}"))
    starts = (np.cumsum(lengths) - lengths)[lengths > 0]
    if starts.size and (ranks[starts] == _START).all():
        ranks = np.delete(ranks, starts) - _INDEX_FROM
        lengths = lengths - (lengths > 0)
    elif ranks.min(initial=1) < 1:
        raise ValueError(f"x_{split} has the rank {ranks.min()}, expected 1 or more")
    if ranks.max(initial=1) > _HIGHEST_RANK:
        raise ValueError(f"x_{split} has the rank {ranks.max()}, expected below {_HIGHEST_RANK}")
    # Rank 1 is our id 2; below rank 1 is the unknown word of load_data.
    tokens = np.where(ranks >= 1, ranks + (len(SPECIAL) - 1), UNK)
    return Encoded.from_lengths(tokens, lengths, labels)


def _member(archive: zipfile.ZipFile, name: str) -> BytesIO:
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > MOST_BYTES:
        raise ValueError(
            f"{name} has {count_of(info.file_size, 'byte')}, expected at most {MOST_BYTES:,}"
        )
    return BytesIO(archive.read(info))


def _read_lists(file: BytesIO) -> tuple[Ints, Ints]:
    """Read an ``.npy`` file of lists of integers as one flat array and the lists' lengths."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"npy version {version}, expected (1, 0) or (2, 0)")
    read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
    shape, _, dtype = read_header(file)
    if dtype != np.dtype(object) or len(shape) != 1:
        raise ValueError(f"an array {shape} of {dtype}, expected lists (a vector of objects)")
    array = _Unpickler(file).load()
    rows = array.state[4] if isinstance(array, _Array) and array.state else None
    if not isinstance(rows, list) or len(rows) != shape[0]:
        raise ValueError(f"no {count_of(shape[0], 'list')}")
    values = [row.values() if isinstance(row, _Array) else row for row in rows]
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    count = int(lengths.sum())
    if count > len(file.getbuffer()):  # a pickle may name one list very many times
        raise ValueError(
            f"{count_of(count, 'number')} in {count_of(len(file.getbuffer()), 'byte')}"
        )
    return np.fromiter(chain.from_iterable(values), np.int64, count), lengths


def _words(path: Path, count: int) -> list[str]:
    words = [f"#{rank}" for rank in range(1, count + 1)]
    index = path.with_name(WORD_INDEX_NAME)
    if index.is_file():
        try:
            for word, rank in json.loads(read_text(index)).items():
                if 1 <= rank <= count:
                    words[rank - 1] = word
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"{index} is not a word index {{word: rank}}: {error}") from error
    return words


class _Array:
    """Stands in for a pickled array: keeps its state and builds nothing."""

    def __init__(self, *ignored: object) -> None:
        self.state: tuple[Any, ...] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def values(self) -> NDArray[np.int64]:
        """The integers of a row that is an array itself."""
        if self.state is None or not isinstance(self.state[2], _Dtype):
            raise ValueError("an array within the array is incomplete")
        return np.frombuffer(self.state[4], self.state[2].real()).astype(np.int64)


class _Dtype:
    """Stands in for a pickled dtype."""

    def __init__(self, name: str, *ignored: object) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def real(self) -> np.dtype[np.integer]:
        """The dtype, which must be one of integers."""
        dtype = np.dtype(f"{'' if self.order == '|' else self.order}{self.name}")
        if dtype.kind not in "iu":
            raise ValueError(f"an array of {dtype} within the array, expected integers")
        return dtype


def _encode_latin1(text: str, encoding: str) -> bytes:
    """What protocol 2 of pickle calls to make bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes spelled in {encoding}")
    return text.encode("latin1")


_HARMLESS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode_latin1,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _HARMLESS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, refused") from None
