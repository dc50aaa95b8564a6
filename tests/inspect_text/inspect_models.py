"""Small untrained models to look into."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm import TextClassifier

WORDS = "a the film good bad very but not dull ending it's".split()
LABELS = {2: ["negative", "positive"], 3: ["bad", "fair", "good"]}


def classifier(**options: Any) -> TextClassifier:
    """A small classifier whose word vectors are large enough for the gates to differ."""
    options = {"embedding_std": 1.0, "hidden_size": 6, "embedding_dim": 5, **options}
    return TextClassifier(len(WORDS) + 2, rng=np.random.default_rng(0), **options)
