"""A model and data small enough to train in milliseconds: which half of the words prevails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastlstm.nn import Dropout, Embedding, Linear, Module, bce_with_logits
from fastlstm.text import Batch, Encoded, batches, count_batches
from fastlstm.train import Adam, Average, Trainer
from fastlstm.train.schedule import linear

WORDS = 40
BATCH = 16
SEED = 3


def texts(count: int = 100, seed: int = 0) -> Encoded:
    """Random texts of 1 to 12 words; the label is 1 if more than half are of the upper half."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 13, count)
    rows = [rng.integers(2, WORDS, n) for n in lengths]
    labels = [int((row >= WORDS // 2).mean() > 0.5) for row in rows]
    return Encoded.from_lengths(np.concatenate(rows), lengths, labels)


class BagOfWords(Module):
    """Mean of word vectors, dropout, linear head."""

    def __init__(self, seed: int = 0, dropout: float = 0.2) -> None:
        rng = np.random.default_rng(seed)
        self.embedding = Embedding(WORDS, 8, padding_idx=0, dtype="float64", rng=rng)
        self.dropout = Dropout(dropout)
        self.head = Linear(8, 1, dtype="float64", rng=rng)

    def __call__(self, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return self.head(self.embedding(tokens).sum(axis=1) / lengths[:, None])[:, 0]

    def forward(
        self, tokens: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, Any]:
        vectors, of_embedding = self.embedding.forward(tokens)
        mean, of_dropout = self.dropout.forward(vectors.sum(axis=1) / lengths[:, None], rng)
        logits, of_head = self.head.forward(mean)
        return logits[:, 0], (of_embedding, of_dropout, of_head, tokens.shape, lengths)

    def backward(self, tape: Any, dlogits: np.ndarray) -> None:
        of_embedding, of_dropout, of_head, shape, lengths = tape
        dmean = self.dropout.backward(of_dropout, self.head.backward(of_head, dlogits[:, None]))
        each = (dmean / lengths[:, None])[:, None]
        self.embedding.backward(of_embedding, np.broadcast_to(each, (*shape, 8)).copy())


def drop_words(batch: Batch, rng: np.random.Generator) -> Batch:
    """A transform with chance in it."""
    unknown = rng.random(batch.tokens.shape) < 0.1
    return replace(batch, tokens=np.where(unknown & (batch.tokens > 0), 1, batch.tokens))


class Problem:
    """Texts, and a trainer over them with everything that has state switched on."""

    def __init__(self, train: Encoded | None = None) -> None:
        self.train = train or texts()
        self.held_back = texts(60, seed=1)
        self.steps = count_batches(self.train, BATCH)

    def trainer(self, **options: Any) -> Trainer:
        model = options.pop("model", None) or BagOfWords()
        defaults: dict[str, Any] = {
            "optimizer": Adam(model, lr=0.02),
            "task": bce_with_logits,
            "average": Average(model, 0.9),
            "transform": drop_words,
            "epochs": 4,
            "clip": 0.3,
            "schedule": linear,
            "seed": SEED,
        }
        return Trainer(model, **{**defaults, **options})

    def fit(self, trainer: Trainer) -> Trainer:
        trainer.fit(self.batches, self.steps, self.validation)
        return trainer

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        return batches(self.train, BATCH, seed=SEED, epoch=epoch, start=start)

    def validation(self) -> Iterator[Batch]:
        return batches(self.held_back, 32)
