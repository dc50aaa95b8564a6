"""Texts to train and test a classifier on."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.text import Encoded, Vocabulary

LABELS = ("negative", "positive")
"""Names of the classes where a run keeps none: those of IMDB. The position is the label."""


@dataclass(frozen=True)
class Dataset:
    """Texts to train and test on, encoded and cut to length."""

    train: Encoded
    validation: Encoded | None
    test: Encoded | None
    vocab: Vocabulary  # the words of the ids
    source: str  # a description of the data
    identity: dict[str, Any]  # changes with any word or label: a resumed run must have the same
    labels: tuple[str, ...] = ()  # names of the classes, by number; empty for the two of IMDB
    noun: str = "texts"  # what messages and metrics call the texts
    options: dict[str, Any] = field(default_factory=dict)  # those left open, for these texts
    complete: bool = True  # whether these are all of the texts
    notice: str = ""  # what to tell the user if not
    unlabelled: Encoded | None = None  # more texts, to pretrain on
    targets: NDArray[np.float64] | None = None  # [N], to learn: probabilities of class 1

    @property
    def sizes(self) -> dict[str, int]:
        """How many texts each part has."""
        return {name: len(getattr(self, name) or ()) for name in ("train", "validation", "test")}

    @property
    def num_outputs(self) -> int:
        """Logits of the model: one for two classes, else one for each."""
        return len(self.labels) if len(self.labels) > 2 else 1


def fingerprint(words: Sequence[str], parts: Iterable[Encoded]) -> int:
    """Return a number that changes with any of the words, and any word or label of the parts."""
    crc = zlib.crc32(json.dumps(words).encode())
    for part in parts:
        for array in (part.tokens, part.offsets, part.labels):
            crc = zlib.crc32(array.data, crc)
    return crc
