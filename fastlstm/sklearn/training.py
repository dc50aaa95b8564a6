"""Training for the estimators: a model, a loss, an optimizer and a trainer from its options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from fastlstm.counts import count_of
from fastlstm.kernels.arguments import check_precision
from fastlstm.models import SequenceClassifier, SequenceRegressor, TextClassifier
from fastlstm.nn.check import check_dtype, check_size
from fastlstm.nn.losses import bce_with_logits, cross_entropy
from fastlstm.sklearn.data import EVALUATION_BATCH, Data
from fastlstm.sklearn.readers import NumberReader, Reader, TextReader
from fastlstm.text.encoded import Ints
from fastlstm.train.average import Average
from fastlstm.train.classifier.pretrain import FINE_TUNING, Pretrained
from fastlstm.train.classifier.word_dropout import WordDropout
from fastlstm.train.history import History
from fastlstm.train.optim import optimizer
from fastlstm.train.progress import Progress
from fastlstm.train.schedule import get as get_schedule
from fastlstm.train.seeds import WEIGHTS, generator
from fastlstm.train.tasks.supervised import Loss
from fastlstm.train.tasks.task import Task, shuffled
from fastlstm.train.tasks.weighted import WeightedClassification, normalized
from fastlstm.train.trainer import Trainer, Transform

MOMENTUM = 0.9  # of sgd
MODEL_OPTIONS = (
    "cell", "hidden_size", "num_layers", "bidirectional", "pooling", "dropout", "dtype",
)  # fmt: skip
EMBEDDING_DIM = 64

Model = TextClassifier | SequenceClassifier
Net = TypeVar("Net", TextClassifier | SequenceClassifier, SequenceRegressor)


class First(Protocol):
    """What a model begins with in place of random values; `size` is that of its word vectors."""

    @property
    def size(self) -> int: ...
    def put_into(self, model: Any) -> None: ...


def train(
    estimator: Any, reader: Reader, data: Data, classes: NDArray[Any], seed: int,
    first: First | None,
) -> tuple[Model, History]:  # fmt: skip
    """Return the trained model of a classifier and its history; `first` has what it begins with.

    The labels of `data` are numbers of the sorted `classes`, [C].
    """
    size = first.size if first else estimator.embedding_dim
    make = partial(build, estimator, reader, len(classes), seed, size)
    parts = held_back(estimator, data, seed, data.encoded.labels)
    words = isinstance(reader, TextReader) and estimator.word_dropout
    transform = WordDropout(estimator.word_dropout) if words else None
    return train_net(estimator, make, _task(*parts, len(classes)), parts, seed, first, transform)


def held_back(
    estimator: Any, data: Data, seed: int, labels: Ints | None = None
) -> tuple[Data, Data | None]:
    """Return what to train on and what to measure on, if anything is; of `labels` as many each.

    Weights are scaled to a mean of 1, those of the part that is held back on their own.
    """
    kept, held = split(len(data), estimator.validation_fraction, seed, labels)
    if not len(held):
        return _weighted(data), None
    return _weighted(data.select(kept)), _weighted(data.select(held))


def train_net(
    estimator: Any, make: Callable[[], Net], task: Task | Loss, parts: tuple[Data, Data | None],
    seed: int, first: First | None, transform: Transform | None = None,
) -> tuple[Net, History]:  # fmt: skip
    """Return a net that was trained as an estimator says, and its history.

    `make` returns an untrained one, every time the same.
    """
    check_precision_of(estimator)
    lr = estimator.lr * FINE_TUNING if isinstance(first, Pretrained) else estimator.lr
    model = make()
    if first is not None:
        first.put_into(model)
    trainer = Trainer(
        model,
        optimizer(estimator.optimizer, model, lr, estimator.weight_decay, MOMENTUM),
        task,
        epochs=check_size("epochs", estimator.epochs),
        schedule=get_schedule(estimator.schedule),
        clip=estimator.clip,
        average=Average(model, estimator.average) if estimator.average else None,
        patience=check_size("patience", estimator.patience, 0),
        seed=seed,
        transform=transform,
        listeners=[Progress(estimator.verbose > 1)] if estimator.verbose else [],
    )
    trained_on, measured_on = parts
    batch_size = check_size("batch_size", estimator.batch_size)
    trainer.fit(
        *shuffled(Data.batches, trained_on, batch_size, seed, measured_on, EVALUATION_BATCH)
    )
    # A new model has no gradients, so its pickle is half as large.
    clean = make()
    clean.load_state_dict(trainer.best_weights)
    return clean, trainer.history


def build(estimator: Any, reader: Reader, classes: int, seed: int, embedding_dim: int) -> Model:
    """Return the untrained model of an estimator."""
    options = {name: getattr(estimator, name) for name in MODEL_OPTIONS}
    options["num_outputs"] = 1 if classes == 2 else classes
    options["rng"] = generator(seed, WEIGHTS)
    model: Model
    if isinstance(reader, NumberReader):
        model = SequenceClassifier(reader.size, **options)
    else:
        options["embedding_dropout"] = estimator.embedding_dropout
        model = TextClassifier(len(reader.vocabulary), embedding_dim, **options)
        model.embedding.weight.trainable = not estimator.freeze_vectors
    model.set_precision(estimator.precision)
    return model


def check_precision_of(estimator: Any) -> None:
    """Raise ValueError if a model cannot be trained in the estimator's precision."""
    if estimator.precision == "int8":
        raise ValueError(
            "precision is 'int8', in which a net cannot be trained: fit with 'float32' or "
            "'bfloat16', then set_params(precision='int8') to predict"
        )
    check_precision(estimator.precision, check_dtype(estimator.dtype), save=True)


def split(count: int, fraction: float, seed: int, labels: Ints | None = None) -> tuple[Ints, Ints]:
    """Return the numbers of the rows to train on, and of a fraction of them to hold back.

    With `labels`, [N], it is a fraction of each class. Raises ValueError if there are too few rows.
    """
    rows = np.arange(count)
    if not fraction:
        return rows, rows[:0]
    try:
        kept, held = train_test_split(rows, test_size=fraction, stratify=labels, random_state=seed)
    except ValueError as error:
        raise ValueError(
            f"validation_fraction is {fraction}, which cannot be held back of "
            f"{count_of(count, 'row')}: give more rows, or a fraction of 0 for none ({error})"
        ) from error
    return kept, held


def _weighted(data: Data) -> Data:
    """Return the same with weights of mean 1."""
    return data if data.weights is None else replace(data, weights=normalized(data.weights))


def _task(trained_on: Data, measured_on: Data | None, classes: int) -> Task | Loss:
    if trained_on.weights is not None or measured_on and measured_on.weights is not None:
        return WeightedClassification()
    return bce_with_logits if classes == 2 else cross_entropy
