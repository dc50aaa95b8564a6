"""Small texts of two classes and of more."""

from __future__ import annotations

import numpy as np

TEXTS = [
    "a fine film, and a moving one!", "not a fine film", "moving and funny", "dull and long",
    "the plot is dull, not funny", "a film to love", "fine, fine acting", "bad acting; bad plot",
]  # fmt: skip
LABELS = [1, 0, 1, 0, 0, 1, 1, 0]


def draw(texts: int, classes: int = 2, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts of invented words, of which some are of a class."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghij"))
    words = ["".join(rng.choice(letters, rng.integers(1, 7))) for _ in range(300)]
    labels = rng.integers(0, classes, texts)
    rows = []
    for label in labels:
        told = rng.integers(0, 300, rng.integers(2, 20))
        told = np.where(rng.random(len(told)) < 0.3, told // classes * classes + label, told)
        rows.append(" ".join(words[i % 300] for i in told) + rng.choice(["!", ".", ""]))
    return rows, labels
