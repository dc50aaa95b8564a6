"""Word dropout: hides words of training batches at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastlstm.text import PAD, UNK, Batch


class WordDropout:
    """Replaces each word by the unknown word with probability `p`; for `Trainer.transform`.

    Raises ValueError unless p is at least 0 and below 1.
    """

    def __init__(self, p: float) -> None:
        if not 0.0 <= p < 1.0:
            raise ValueError(f"p is {p}, expected a probability of at least 0 and below 1")
        self.p = p

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the batch with words hidden; padding stays padding."""
        hide = rng.random(batch.tokens.shape, dtype=np.float32) < self.p
        hide &= batch.tokens != PAD
        return replace(batch, tokens=np.where(hide, np.int32(UNK), batch.tokens))
