"""The classes of labelled texts, which may be in doubt."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.kernels.masked import refuse_masked
from fastlstm.linear.ngrams import Int64s


class Targets(NamedTuple):
    """The class of each of N texts.

    Attributes
    ----------
    labels : int64 [N], the class, or the more probable one.
    doubt : float64 [N], the probability of the other one of two classes.
    """

    labels: Int64s
    doubt: NDArray[np.float64]

    def share(self, k: int) -> NDArray[np.float64]:
        """Return how much of each text is of a class, 0 to 1, float64 [N]."""
        return np.where(self.labels == k, 1 - self.doubt, self.doubt)

    def present(self, used: NDArray[np.bool_]) -> Int64s:
        """Return the classes that some of the texts are of, rising."""
        others = 1 - self.labels[used & (self.doubt > 0)]
        return np.unique(np.concatenate([self.labels[used], others]))

    def select(self, index: Int64s) -> Targets:
        """Return those of the texts of some numbers."""
        return Targets(self.labels[index], self.doubt[index])


def read_targets(labels: ArrayLike, texts: int, classes: int) -> Targets:
    """Return the classes of texts after checking them: numbers, or probabilities of class 1."""
    if classes < 2:
        raise ValueError(f"num_classes is {classes}, expected 2 or more")
    refuse_masked("labels", labels)
    found = np.asarray(labels)
    soft = classes == 2 and np.issubdtype(found.dtype, np.floating)
    if found.shape != (texts,) or not (soft or np.issubdtype(found.dtype, np.integer) or not texts):
        also = ", or floats" if classes == 2 else ""
        raise ValueError(
            f"labels is {found.dtype} {found.shape}, expected integers ({texts},){also}"
        )
    if texts and not 0 <= found.min() <= found.max() <= (1 if soft else classes - 1):
        raise ValueError(
            f"labels spans {found.min()} to {found.max()}, expected 0 to {classes - 1}"
        )
    if soft:
        probability = found.astype(np.float64)
        return Targets((probability > 0.5) * 1, np.minimum(probability, 1 - probability))
    return Targets(found.astype(np.int64), np.zeros(texts))
