"""A loss with a weight for each class, for classes of very different size."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.nn.losses import bce_with_logits, cross_entropy
from fastlstm.nn.module import Array


class ClassWeightedLoss:
    """The loss of a classifier, each row weighted by its class; for `Trainer`.

    ``sum of w[label] * loss / sum of w[label]`` over the batch, as torch's ``CrossEntropyLoss``
    with a weight. The loss is `bce_with_logits` for logits [N], `cross_entropy` for [N, C].

    Parameters
    ----------
    weights : [C], one for each class; two for a binary classifier.

    Raises
    ------
    ValueError
        If there are fewer than two, one is negative or not finite, or all are 0.
    """

    def __init__(self, weights: ArrayLike) -> None:
        self.weights = np.asarray(weights, dtype=np.float64)
        fits = self.weights.ndim == 1 and len(self.weights) > 1
        if not fits or not (np.isfinite(self.weights) & (self.weights >= 0)).all():
            raise ValueError(
                f"weights is {weights!r}, expected a number of at least 0 for each class"
            )
        if not self.weights.any():
            raise ValueError("weights are all 0: no class would count")

    def __call__(self, logits: Array, labels: NDArray[np.integer]) -> tuple[float, Array]:
        """Return the mean loss of a batch and the gradient of the logits.

        The loss is 0 if all classes of the batch have no weight.
        """
        loss = bce_with_logits if logits.ndim == 1 else cross_entropy
        dlogits = np.zeros_like(logits)
        counts = np.bincount(labels, minlength=len(self.weights))
        parts = counts * self.weights
        total, mean = float(parts.sum()), 0.0
        for label in np.flatnonzero(parts):
            rows = labels == label
            value, d = loss(logits[rows], labels[rows])
            share = parts[label] / total
            mean += share * value
            dlogits[rows] = d * logits.dtype.type(share)
        return mean, dlogits
