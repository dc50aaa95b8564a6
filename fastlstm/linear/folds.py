"""Texts divided into parts of all classes, each to be judged by the others."""

from __future__ import annotations

import numpy as np

from fastlstm.linear.ngrams import Int64s


def folds_of(labels: Int64s, folds: int, rng: np.random.Generator) -> Int64s:
    """Return the part of each text, int64 [N]: 0 to folds - 1, of each class about as many.

    Raises
    ------
    ValueError
        If there are fewer than two folds, or more than texts.
    """
    if not 2 <= folds <= len(labels):
        raise ValueError(f"folds is {folds}, expected 2 to {len(labels)}, the number of texts")
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    part = np.empty(len(labels), np.int64)
    part[order] = np.arange(len(labels)) % folds
    return part
