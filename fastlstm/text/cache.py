"""Encoded collections kept in the user's cache folder, for a quick second start.

Each source has one ``.npz`` file without pickled objects. A key in it says what it was made from.
If the key does not match, or a checksum inside is wrong, the collection is encoded again.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fastlstm.counts import count_of
from fastlstm.files.cache import make_room
from fastlstm.files.opening import open_file
from fastlstm.files.writing import remove_temporary, replacing
from fastlstm.notices import FastlstmWarning
from fastlstm.text.corpus import Corpus
from fastlstm.text.encoded import Encoded
from fastlstm.text.sources import SPLITS
from fastlstm.text.tokenizer import TOKENIZER_VERSION, WORD

CACHE_VERSION = 2
DAY = 24 * 3600  # seconds; no process writes a file for so long
_ARRAYS = ("tokens", "offsets", "labels")
_LISTS = ("words", "others", "marks")


class CacheWarning(FastlstmWarning):
    """An encoding in the cache was damaged, or could not be written."""


def cached(
    folder: Path, name: str, identity: str, build: Callable[[], Corpus], analyzer: str = WORD
) -> Corpus:
    """Return the collection kept under `name` in a folder, or build it and keep it.

    There is one for each `analyzer`. `identity` changes whenever the source does; then the new
    collection replaces the old one. Warns with CacheWarning if the file was damaged (it is made
    again) or cannot be written.
    """
    whole_name = name if analyzer == WORD else f"{analyzer} {name}"
    path = folder / f"encoded-{hashlib.sha256(whole_name.encode()).hexdigest()[:16]}.npz"
    key = f"{CACHE_VERSION}/{TOKENIZER_VERSION}/{analyzer}/{identity}"
    corpus = _load(path, key)
    if corpus is None:
        corpus = build()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_temporary(folder, [path.name], older=DAY)
            _save(path, key, corpus)
        except OSError as error:
            warnings.warn(f"cannot keep the encoded texts: {error}", CacheWarning, stacklevel=2)
    return corpus


def _save(path: Path, key: str, corpus: Corpus) -> None:
    arrays = {
        f"{split}_{name}": getattr(getattr(corpus, split), name)
        for split in SPLITS
        for name in _ARRAYS
    }
    lists = {name: json.dumps(getattr(corpus, name), ensure_ascii=False) for name in _LISTS}
    for name, text in {"key": key, **lists}.items():
        arrays[name] = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
    make_room(path)
    with replacing(path) as file:
        np.savez(file, **arrays)


def _load(path: Path, key: str) -> Corpus | None:
    """Return the collection in a file; None if it is not there, damaged, or has another key."""
    try:
        with open_file(path) as file, np.load(file, allow_pickle=False) as stored:
            if stored["key"].tobytes().decode("utf-8") != key:
                return None
            lists = [json.loads(stored[name].tobytes().decode("utf-8")) for name in _LISTS]
            train, test = (
                Encoded(*(stored[f"{split}_{name}"] for name in _ARRAYS)) for split in SPLITS
            )
        count = sum(map(len, lists))
        if max(part.tokens.max(initial=0) for part in (train, test)) >= count:
            raise ValueError(f"a word id reaches past the {count_of(count, 'word')}")
        return Corpus(train, test, *lists)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # each array has a checksum; a damaged zip file can lead to any
        what = "cannot be read" if isinstance(error, OSError) else "is damaged"
        warnings.warn(
            f"{path} {what} ({error}); the texts are encoded again", CacheWarning, stacklevel=3
        )
        return None
