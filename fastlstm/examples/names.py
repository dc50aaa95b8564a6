"""The language of a surname, read by a GRU: ``python -m fastlstm.examples.names NAME ...``.

The task of a well-known tutorial: 18 languages, a file of surnames for each. There the names to
measure on are the ones learned from; here a tenth of each language is held back. Files may repeat
names (the tutorial's 2,000 Arabic lines are 108 names), so each pair of name and language counts
once and lies on one side only. A name that two languages share may lie on both, with another answer.

Without ``--data`` the names are made up: see `fastlstm.examples.made_up_names`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastlstm.examples.made_up_names import make_names
from fastlstm.models import TextClassifier
from fastlstm.nn.losses import cross_entropy
from fastlstm.nn.module import Array
from fastlstm.text import Encoded, Vocabulary, batches, count_batches
from fastlstm.text.vocabulary import SPECIAL
from fastlstm.train.class_weight import ClassWeightedLoss
from fastlstm.train.confusion import confusion_matrix, draw_confusion, recalls
from fastlstm.train.optim import Adam
from fastlstm.train.progress import Progress
from fastlstm.train.schedule import linear
from fastlstm.train.trainer import Trainer

Names = dict[str, list[str]]  # by language
BATCH = 64


def read_names(folder: Path) -> Names:
    """Return the distinct names of each file LANGUAGE.txt, a name a line."""
    found = {}
    for path in sorted(folder.glob("*.txt")):
        try:
            names = {line.strip() for line in path.read_text(encoding="utf-8").splitlines()} - {""}
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8: {error}") from error
        if len(names) < 2:
            raise ValueError(f"{path} has {len(names)} names, expected two or more")
        found[path.stem] = sorted(names)
    if len(found) < 2:
        raise ValueError(f"{folder} has {len(found)} files LANGUAGE.txt, expected two or more")
    return found


def to_ascii(name: str) -> str:
    """Return a name without accents, and without letters that ASCII has nothing alike for."""
    parts = unicodedata.normalize("NFD", name)
    return parts.encode("ascii", "ignore").decode("ascii")


def split(names: Names, seed: int) -> tuple[Names, Names]:
    """Return the names to learn and a tenth of each language, at least one name, to test."""
    rng, learned, tested = np.random.default_rng(seed), {}, {}
    for language, all_names in names.items():
        order = [all_names[i] for i in rng.permutation(len(all_names))]
        held_back = max(1, round(len(order) / 10))
        learned[language], tested[language] = order[held_back:], order[:held_back]
    return learned, tested


def encode(names: Names, letters: Vocabulary) -> Encoded:
    """Return names as letters, with the numbers of their languages."""
    rows = [[letters.id(c) for c in name] for group in names.values() for name in group]
    labels = np.repeat(np.arange(len(names)), [len(group) for group in names.values()])
    flat = np.array([i for row in rows for i in row], np.int32)
    return Encoded.from_lengths(flat, [len(row) for row in rows], labels)
