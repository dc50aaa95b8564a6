"""Small problems that an estimator learns in a second, and one that is small enough to."""

from __future__ import annotations

from typing import Any

import numpy as np

SMALL = {
    "hidden_size": 8,
    "dropout": 0.0,
    "word_dropout": 0.0,
    "lr": 0.03,
    "random_state": 0,
}


def small(**options: Any) -> Any:
    """A quick estimator. scikit-learn, which it needs, may be missing: so it is imported here."""
    from fastlstm.sklearn import LSTMClassifier

    if options.get("parts") == "linear":  # which has no net
        return LSTMClassifier(**{"random_state": 0, **options})
    return LSTMClassifier(**{**SMALL, "batch_size": 8, **options})


def opinions(N: int = 48, seed: int = 0) -> tuple[list[str], list[str]]:
    """Short texts and what they think; "not" turns the meaning of what follows."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(N):
        good, turned = rng.integers(2), rng.integers(2)
        word = rng.choice([["bad", "awful"], ["good", "fine"]][good])
        texts.append(" ".join(["this", *rng.choice(["is", "was"], 1), *["not"] * turned, word]))
        labels.append(["no", "yes"][good ^ turned])
    return texts, labels


def slopes(N: int = 48, F: int = 1, seed: int = 0) -> tuple[list[Any], np.ndarray]:
    """Series of 4 to 9 steps that fall (0), stay (1) or rise (2): [T_i], or [T_i, F]."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, N)
    rows = []
    for label in labels:
        T = rng.integers(4, 10)
        x = 50 + (label - 1) * np.linspace(-2, 2, T)[:, None] + 0.2 * rng.standard_normal((T, F))
        rows.append(x if F > 1 else x[:, 0])
    return rows, labels
