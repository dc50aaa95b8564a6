"""Probabilities in place of labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.text import Batch


class SoftLabels:
    """Puts a probability in the place of each text's label; for `Trainer.transform`.

    Parameters
    ----------
    targets : float [N], the probability that text n is of class 1.
    """

    def __init__(self, targets: NDArray[Any]) -> None:
        self.targets = targets

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the batch with the probabilities of its rows."""
        return replace(batch, labels=self.targets[batch.index])
