"""Training for the estimator: a model, a loss, an optimizer and a trainer from its options."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import compute_class_weight

from fastlstm.kernels.arguments import check_precision
from fastlstm.models import SequenceClassifier, TextClassifier
from fastlstm.nn.check import check_dtype, check_size
from fastlstm.nn.losses import bce_with_logits, cross_entropy
from fastlstm.sklearn.data import Data
from fastlstm.sklearn.readers import NumberReader, TextReader
from fastlstm.train.average import Average
from fastlstm.train.classifier.class_weight import ClassWeightedLoss
from fastlstm.train.classifier.word_dropout import WordDropout
from fastlstm.train.history import History
from fastlstm.train.optim import optimizer
from fastlstm.train.progress import Progress
from fastlstm.train.schedule import get as get_schedule
from fastlstm.train.seeds import WEIGHTS, generator
from fastlstm.train.tasks.supervised import Loss
from fastlstm.train.tasks.task import shuffled
from fastlstm.train.trainer import Trainer

MOMENTUM = 0.9  # of sgd
MODEL_OPTIONS = (
    "cell", "hidden_size", "num_layers", "bidirectional", "pooling", "dropout", "dtype",
)  # fmt: skip
EVALUATION_BATCH = 128  # rows of a batch without a backward pass

Model = TextClassifier | SequenceClassifier
Reader = TextReader | NumberReader


def train(
    estimator: Any, reader: Reader, data: Data, classes: NDArray[Any], seed: int
) -> tuple[Model, History]:
    """Return the trained model of an estimator and its history.

    The labels of `data` are numbers of the sorted `classes`, [C].
    """
    _check_precision(estimator)
    model = build(estimator, reader, len(classes), seed)
    words = isinstance(model, TextClassifier) and estimator.word_dropout
    trainer = Trainer(
        model,
        optimizer(estimator.optimizer, model, estimator.lr, estimator.weight_decay, MOMENTUM),
        _loss(estimator, classes, data.encoded.labels),
        epochs=check_size("epochs", estimator.epochs),
        schedule=get_schedule(estimator.schedule),
        clip=estimator.clip,
        average=Average(model, estimator.average) if estimator.average else None,
        patience=check_size("patience", estimator.patience, 0),
        seed=seed,
        transform=WordDropout(estimator.word_dropout) if words else None,
        listeners=[Progress(estimator.verbose > 1)] if estimator.verbose else [],
    )
    size = check_size("batch_size", estimator.batch_size)
    trained_on, held_back = _split(data, estimator.validation_fraction, seed)
    trainer.fit(*shuffled(Data.batches, trained_on, size, seed, held_back, EVALUATION_BATCH))
    # A new model has no gradients, so its pickle is half as large.
    clean = build(estimator, reader, len(classes), seed)
    clean.load_state_dict(trainer.best_weights)
    return clean, trainer.history


def build(estimator: Any, reader: Reader, classes: int, seed: int) -> Model:
    """Return the untrained model of an estimator."""
    options = {name: getattr(estimator, name) for name in MODEL_OPTIONS}
    options["num_outputs"] = 1 if classes == 2 else classes
    options["rng"] = generator(seed, WEIGHTS)
    model: Model
    if isinstance(reader, NumberReader):
        model = SequenceClassifier(reader.size, **options)
    else:
        options["embedding_dropout"] = estimator.embedding_dropout
        model = TextClassifier(len(reader.vocabulary), estimator.embedding_dim, **options)
    model.set_precision(estimator.precision)
    return model


def _check_precision(estimator: Any) -> None:
    """Raise ValueError if a model cannot be trained in the estimator's precision."""
    if estimator.precision == "int8":
        raise ValueError(
            "precision is 'int8', in which a net cannot be trained: fit with 'float32' or "
            "'bfloat16', then set_params(precision='int8') to predict"
        )
    check_precision(estimator.precision, check_dtype(estimator.dtype), save=True)


def _split(data: Data, fraction: float, seed: int) -> tuple[Data, Data | None]:
    """Hold back a fraction of each class."""
    if not 0 <= fraction < 1:
        raise ValueError(f"validation_fraction is {fraction}, expected at least 0 and below 1")
    if not fraction:
        return data, None
    rows, labels = np.arange(len(data)), data.encoded.labels
    kept, held = train_test_split(rows, test_size=fraction, stratify=labels, random_state=seed)
    return data.select(kept), data.select(held)


def _loss(estimator: Any, classes: NDArray[Any], labels: NDArray[np.int64]) -> Loss:
    weight = estimator.class_weight
    if weight is None:
        return bce_with_logits if len(classes) == 2 else cross_entropy
    return ClassWeightedLoss(compute_class_weight(weight, classes=classes, y=classes[labels]))
