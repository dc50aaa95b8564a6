"""Pretraining: the lower layers of a classifier learn to predict words of unlabelled texts.

Dai & Le 2015, "Semi-supervised sequence learning", with a window of words to predict as in Johnson
& Zhang 2016, see `ReviewModel`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.models import TextClassifier
from fastlstm.models.review_model import ReviewModel
from fastlstm.nn.module import Array
from fastlstm.text import Encoded, batches
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.start import Start
from fastlstm.train.history import Epoch
from fastlstm.train.metrics import perplexity
from fastlstm.train.optim import Adam
from fastlstm.train.progress import Progress
from fastlstm.train.schedule import linear
from fastlstm.train.tasks.supervised import Supervised
from fastlstm.train.tasks.task import shuffled
from fastlstm.train.trainer import Trainer

# Factor on the learning rate after pretraining: with the full rate the weights forget it (on IMDB
# 91.6 % of the validation reviews are right, not 92.2 %).
FINE_TUNING = 0.5


@dataclass(frozen=True)
class PretrainOptions:
    """How the language model of the reviews is trained, by Adam; the rate falls to 0."""

    epochs: int = 3
    batch_size: int = 64
    lr: float = 8e-3
    clip: float = 1.0
    samples: int = 1000  # words of the sampled softmax, see `ReviewModel`
    window: int = 10  # words around a place, of which it predicts one
    subsample: float = 2e-4  # share of all from which on words are predicted more seldom
    validation: int = 500  # reviews held back to measure the perplexity


class Pretrained(Start):
    """The result of pretraining, which a classifier begins with.

    Attributes
    ----------
    weights : named as in `TextClassifier`: of the embedding and the recurrent layers; of a
        bidirectional net only the first layer.
    perplexity : of a word of the reviews held back, after the last epoch; None without any.
    seconds : of training.
    """

    def __init__(self, weights: dict[str, Array], perplexity: float | None, seconds: float) -> None:
        self.weights, self.perplexity, self.seconds = weights, perplexity, seconds
        self.options: dict[str, Any] = {}
        crc = 0
        for value in weights.values():
            crc = zlib.crc32(value.data, crc)
        self.identity = {"the pretraining": crc}
        self.metrics: dict[str, Any] = {}

    @property
    def size(self) -> int:
        """Numbers of a word vector."""
        return int(self.weights["embedding.weight"].shape[1])

    def put_into(self, model: TextClassifier) -> None:
        model.load_state_dict({**model.state_dict(), **self.weights})

    def told(self, train: Encoded) -> str:
        return "begins with what pretraining has learned"


def pretrain(
    config: Config, reviews: Encoded, vocab_size: int, rng: np.random.Generator,
    progress: Callable[[str], object] | None = None, *,
    options: PretrainOptions | None = None, checkpoint: Path | None = None,
    identity: Mapping[str, Any] | None = None,
) -> Pretrained:  # fmt: skip
    """Train the lower layers of a classifier, of options `config`, to predict the words of reviews.

    All randomness comes from `rng`. `progress` is called with lines of text. The state is saved to
    `checkpoint` after every epoch and on Ctrl-C; if the file exists, training goes on from it, if
    that was of the same `identity`.

    Raises TrainingInterrupted after Ctrl-C; ValueError, FloatingPointError or CheckpointError if
    there are too few reviews, training diverges, or the checkpoint is of another run.
    """
    options = options or PretrainOptions()
    seed = int(rng.integers(2**31))
    texts = reviews.truncate(config.max_length, keep=config.truncate)
    train, held_back = hold_back(texts, options.validation, rng)
    counts = np.bincount(train.tokens, minlength=vocab_size)
    counts[0] = len(train)  # the end of a text is predicted, too
    model = ReviewModel(
        counts,
        config.embedding_dim,
        config.hidden_size,
        1 if config.bidirectional else config.num_layers,
        config.bidirectional,
        cell=config.cell,
        samples=options.samples,
        window=options.window,
        subsample=options.subsample,
        embedding_std=config.embedding_std,
        dtype=config.dtype,
        rng=rng,
    )
    model.set_precision(config.precision)
    trainer = Trainer(
        model,
        Adam(model, options.lr),
        Supervised(mean_loss),
        epochs=options.epochs,
        schedule=linear,
        clip=options.clip,
        seed=seed,
        checkpoint=checkpoint,
        identity={
            "pretraining": _identity(options),
            "words": int(len(train.tokens)),
            **(identity or {}),
        },  # fmt: skip
        listeners=[Told(every=20, write=progress)] if progress else [],
    )
    if checkpoint is not None and checkpoint.exists():
        trainer.load(checkpoint)
    validation = held_back if options.validation else None
    history = trainer.fit(*shuffled(batches, train, options.batch_size, seed, validation))
    loss = history.epochs[-1].validation_loss
    return Pretrained(model.weights(), None if loss is None else perplexity(loss), history.seconds)


# What differs where the nearest word is predicted.
NEAREST: dict[str, Any] = {"window": 1, "subsample": 0.0, "lr": 4e-3}


def _identity(options: PretrainOptions) -> dict[str, Any]:
    """Return the options as runs of earlier versions have them, which knew the next word alone."""
    added = ("window", "subsample")
    return {k: v for k, v in vars(options).items() if k not in added or v != NEAREST[k]}


def hold_back(texts: Encoded, count: int, rng: np.random.Generator) -> tuple[Encoded, Encoded]:
    """Return the texts with words to train on, and `count` random ones to measure on."""
    texts = texts.select(texts.lengths > 0)
    if len(texts) <= count:
        raise ValueError(
            f"reviews has {count_of(len(texts), 'text')} with words, expected more than the "
            f"{count} held back"
        )
    order = rng.permutation(len(texts))
    return texts.select(order[count:]), texts.select(order[:count])


def mean_loss(losses: Array, labels: NDArray[Any]) -> tuple[float, Array]:
    """Return the mean of losses that the model computed itself, and its gradient."""
    return float(losses.mean()), np.full_like(losses, 1 / len(losses))


class Told(Progress):
    """Reports pretraining."""

    title = "pretraining, "

    def figures(self, loss: float, accuracy: float | None) -> str:
        return f"sampled loss {loss:.3f}"

    def line(self, epoch: Epoch, is_best: bool) -> str:
        held_back = ""
        if epoch.validation_loss is not None:
            held_back = f", perplexity {perplexity(epoch.validation_loss):.1f} on those held back"
        trained = self.figures(epoch.train_loss, None)
        return f"{self._name(epoch.epoch)}: {trained}{held_back}; {epoch.seconds:.0f} s"
