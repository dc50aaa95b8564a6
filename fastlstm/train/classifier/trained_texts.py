"""Which texts a run has learned from: a hash of each, kept beside the model.

The hash is that of the word ids after the cut, so texts that the model reads alike are one. Those
of the validation part, which chose the best epoch, count as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.text import Encoded
from fastlstm.train import checkpoint
from fastlstm.train.classifier.dataset import Dataset

KIND = "trained texts"
MOST = 1 << 20  # hashes that are kept: 8 MB


@dataclass(frozen=True, eq=False)
class TextHashes:
    """The hashes of texts: all of them, or of very many the smallest, as good as a random part."""

    values: NDArray[np.uint64]  # increasing
    limit: int = 1 << 64  # hashes from it on were left out

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TextHashes):
            return NotImplemented
        return self.limit == other.limit and np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def count(self, texts: Encoded) -> int:
        """Return how many of the texts have a hash here; an estimate if some were left out."""
        comparable, there = self.find(texts)
        return estimate(len(texts), int(comparable.sum()), int(there.sum()))

    def find(self, texts: Encoded) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which texts have hashes below the limit, bool [N], and which of them are here."""
        numbers = _numbers(texts)
        comparable = numbers <= np.uint64(self.limit - 1)
        if not len(self.values):
            return comparable, np.zeros(len(numbers), bool)
        place = np.searchsorted(self.values, numbers).clip(max=len(self.values) - 1)
        return comparable, comparable & (self.values[place] == numbers)


def estimate(texts: int, comparable: int, there: int) -> int:
    """Return how many of the texts a run learned from, by the share of those that can be told."""
    return round(there / comparable * texts) if comparable else 0


def hashes_of(data: Dataset, most: int = MOST) -> TextHashes:
    """Return the hashes of the texts that a run learns from."""
    parts = [data.train] if data.validation is None else [data.train, data.validation]
    values = np.unique(np.concatenate([_numbers(part) for part in parts]))
    if len(values) <= most:
        return TextHashes(values)
    return TextHashes(values[:most], int(values[most]))


def write_hashes(path: Path, hashes: TextHashes, **note: object) -> None:
    """Write them with a note; errors as of `train.checkpoint.save`."""
    checkpoint.save(path, {"values": hashes.values}, KIND, {"limit": hashes.limit, **note})


def read_hashes(
    path: Path, check: Callable[[dict[str, Any]], object] = lambda note: None
) -> TextHashes | None:
    """Read them; None for a run of a version that kept none. `check` is called with the note.

    Raises CheckpointError as `train.checkpoint.load`, or if the file holds something else.
    """
    if not path.exists():
        return None
    tensors, note = checkpoint.load(path, KIND)
    check(note)
    values, limit = tensors.get("values"), note.get("limit")
    if values is None or values.dtype != np.uint64 or values.ndim != 1:
        raise checkpoint.CheckpointError(f"{path} is damaged: it has no list of numbers")
    if type(limit) is not int or not 0 < limit <= 1 << 64:
        raise checkpoint.CheckpointError(f"{path} is damaged: its limit is {limit!r}")
    return TextHashes(values.astype(np.uint64, copy=False), limit)


def _numbers(texts: Encoded) -> NDArray[np.uint64]:
    """Return a hash of each text, uint64 [N]."""
    tokens, offsets = texts.tokens.astype("<i4", copy=False), texts.offsets.tolist()
    rows = (tokens[a:b].tobytes() for a, b in zip(offsets[:-1], offsets[1:], strict=True))
    digests = b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
