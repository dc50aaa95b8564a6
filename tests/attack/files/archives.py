"""Damaged archives of reviews: the official tar, compressed, and Keras's npz."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from attack.files import mutate
from attack.files.outcome import read
from attack.fuzz.draw import Rng, chance, pick
from fastlstm import text

REVIEWS = (b"A great film.<br />It's fun", b"bad and awful", "café".encode(), b"", b"loved it" * 9)


def _tar(rng: Rng) -> bytes:
    """The official layout, a few reviews of each class."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for split in ("train", "test"):
            for label in ("neg", "pos", "unsup"):
                for number in range(2):
                    content = pick(rng, REVIEWS)
                    entry = tarfile.TarInfo(f"aclImdb/{split}/{label}/{number}_1.txt")
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _tar_gz(rng: Rng, folder: Path) -> Path:
    """Damaged inside, where gzip's checksum is right, or outside."""
    data = _tar(rng)
    if chance(rng, 2):
        data = gzip.compress(mutate.mutated(rng, data), 1)
    else:
        data = mutate.mutated(rng, gzip.compress(data, 1))
    path = folder / pick(rng, ("aclImdb_v1.tar.gz", "other.tgz"))
    path.write_bytes(data)
    return path


def _lists(rng: Rng) -> Any:
    rows = np.empty(3, dtype=object)
    rows[:] = [[1, *map(int, rng.integers(4, 60, n))] for n in (3, 5, 4)]
    return rows


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=array.dtype == object)
    return file.getvalue()


def _member(rng: Rng, data: bytes) -> bytes:
    """An array of the archive, changed: other types, huge claims, other pickles, bytes."""
    how = int(rng.integers(5))
    if how == 0:
        wrong = pick(rng, (np.zeros(3), np.zeros((3, 2), int), np.array(["a", "b"]), np.array(5)))
        return _npy(wrong)
    if how == 1:
        return data.replace(
            b"(3,)", pick(rng, (b"(9999999999,)", b"(-3,)", b"()", b"(3,3)", b"(3.5,)"))
        )
    if how == 2:
        hostile = pick(
            rng, (print, {"a": 1}, [[1], "a"], [[2**70]], [1, 2, 3], b"x", [[[]] * 3] * 3)
        )
        header = data[: data.index(b"\n") + 1]
        return header + pickle.dumps(hostile, protocol=pick(rng, (0, 2, 4)))
    if how == 3:
        # A pickle that claims a huge block.
        return data[: data.index(b"\n") + 1] + b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f."
    return mutate.mutated(rng, data)


def _npz(rng: Rng, folder: Path) -> Path:
    """Damaged inside, where zip's checksum is right, or outside."""
    members = {
        f"{name}_{split}.npy": _npy(_lists(rng) if name == "x" else np.array([0, 1, 1]))
        for split in ("train", "test")
        for name in ("x", "y")
    }
    inside = chance(rng, 2)
    if inside:
        name = pick(rng, sorted(members))
        members[name] = _member(rng, members[name])
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name, data in members.items():
            if not chance(rng, 40):
                archive.writestr(name, data)
    data = file.getvalue() if inside else mutate.mutated(rng, file.getvalue())
    path = folder / "imdb.npz"
    path.write_bytes(data)
    return path


def _index(rng: Rng, folder: Path) -> None:
    """A damaged word index beside the npz."""
    index = mutate.mutated(rng, b'{"film": 1, "good": 2, "bad": 3, "the": 50}')
    (folder / "imdb_word_index.json").write_bytes(index)


def case(rng: Rng, folder: Path) -> None:
    """A damaged archive, read as the training program reads it."""
    index = folder / "imdb_word_index.json"
    index.unlink(missing_ok=True)
    if chance(rng, 2):
        path = _tar_gz(rng, folder)
    else:
        path = _npz(rng, folder)
        if chance(rng, 4):
            _index(rng, folder)
    load = text.load_unlabelled if chance(rng, 4) else text.load_imdb
    # An error may be about the index beside the archive.
    where = folder if index.exists() else path
    found = read(lambda: load(path, cache=False, vocab_size=50), where)
    if isinstance(found, text.ImdbData):
        assert len(found.train) > 0, "no reviews"
        assert found.train.tokens.max(initial=0) < len(found.vocab), "a token outside the words"
