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
    train : what is trained on.
    validation, test : None where nothing is held back.
    vocab : the words that the ids stand for.
    source : what was loaded, in words.
    identity : changes with any word or label; a resumed run must have the same.
    labels : names of the classes, by number; empty for two classes whose names are not kept.
    noun : what messages and metrics call the texts.
    options : of the config that were left open, and what they are for these texts.
    complete, notice : whether these are all of the texts, and what the user must be told if not.
    unlabelled : more texts, to pretrain on.
    targets : of the training texts, float [N]: the probability of class 1 that is learned in place
        of the label; None for the labels.
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
        """Of the model: one logit tells two classes apart."""
        return len(self.labels) if len(self.labels) > 2 else 1


def fingerprint(words: Sequence[str], parts: Iterable[Encoded]) -> int:
    """Return a number that changes with any of the words, and any word or label of the parts."""
    crc = zlib.crc32(json.dumps(words).encode())
    for part in parts:
        for array in (part.tokens, part.offsets, part.labels):
            crc = zlib.crc32(array.data, crc)
    return crc
