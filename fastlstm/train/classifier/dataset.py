"""Texts to train and test a classifier on."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.linear import TokenRows
from fastlstm.text import Encoded, Vocabulary
from fastlstm.text.encoded import Ints
from fastlstm.train.classifier.start import Start

LABELS = ("negative", "positive")
"""Names of the classes where a run keeps none: those of IMDB. The position is the label."""

UNLABELLED = "the texts without a label"
"""Of a user's own ones, in the `identity` of a `Dataset`."""


@dataclass(frozen=True, eq=False)
class Whole:
    """The same texts uncut and with all their words, for a linear part.

    Attributes
    ----------
    rows : all of them.
    train, validation, test, unlabelled : numbers of the rows of each part.
    """

    rows: TokenRows
    train: Ints
    validation: Ints
    test: Ints
    unlabelled: Ints = field(default_factory=lambda: np.arange(0))

    def of(self, *parts: str) -> TokenRows:
        """Return the texts of one part, or of several, one after another."""
        return self.rows.select(np.concatenate([getattr(self, part) for part in parts]))

    @property
    def identity(self) -> dict[str, Any]:
        """What changes with any token."""
        crc = zlib.crc32(json.dumps(list(self.rows.tokens)).encode())
        for array in (self.rows.ids, self.rows.offsets):
            crc = zlib.crc32(array.data, crc)
        return {"the whole texts": crc}


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
    start: Start | None = None  # what the model begins with, if not at random
    whole: Whole | None = None  # what a linear part reads, if there is to be one
    contents: tuple[int, ...] = ()  # change with any text or label, whatever is made of them

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
