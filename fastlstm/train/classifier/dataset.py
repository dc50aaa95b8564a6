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
    """Texts to train and test on, encoded and cut to length.

    Attributes
    ----------
    train, validation, test : the texts of each part; None for one that is not there.
    vocab : the words of the ids.
    source : a description of the data.
    identity : changes with any word or label; a resumed run must have the same.
    labels : names of the classes, by number; empty for the two of IMDB.
    noun : what messages and metrics call the texts.
    options : values for these texts of options that were left open.
    complete, notice : whether these are all of the texts, and what to tell the user if not.
    unlabelled : more texts, to pretrain on.
    targets : float [N], probabilities of class 1 to learn in place of the training labels, or None.
    """

    train: Encoded
    validation: Encoded | None
    test: Encoded | None
    vocab: Vocabulary
    source: str
    identity: dict[str, Any]
    labels: tuple[str, ...] = ()
    noun: str = "texts"
    options: dict[str, Any] = field(default_factory=dict)
    complete: bool = True
    notice: str = ""
    unlabelled: Encoded | None = None
    targets: NDArray[np.float64] | None = None

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
