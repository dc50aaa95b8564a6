"""The model and the trainer that the options of a classifier describe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.models import TextClassifier
from fastlstm.nn import bce_with_logits, cross_entropy
from fastlstm.text import Batch, batches
from fastlstm.train.average import Average
from fastlstm.train.checkpoint import check_same
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.one_run import note_of_run
from fastlstm.train.classifier.parts import Parts, save_parts
from fastlstm.train.classifier.predict import EVALUATION_BATCH
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.word_dropout import WordDropout
from fastlstm.train.history import Epoch, History
from fastlstm.train.listener import Listener
from fastlstm.train.model_file import load_model_and_note
from fastlstm.train.optim import optimizer
from fastlstm.train.schedule import get as get_schedule
from fastlstm.train.seeds import WEIGHTS, generator
from fastlstm.train.tasks.supervised import Loss
from fastlstm.train.tasks.task import shuffled
from fastlstm.train.trainer import Trainer, Transform


def loss_of(num_outputs: int) -> Loss:
    """Return the loss of a model with so many outputs."""
    return bce_with_logits if num_outputs == 1 else cross_entropy


def build_model(config: Config, vocab_size: int, num_outputs: int = 1) -> TextClassifier:
    """Return the untrained model of a run, which makes its products in the run's precision."""
    rng = generator(config.seed, WEIGHTS)
    model = TextClassifier(**_model_options(config, vocab_size, num_outputs), rng=rng)
    model.set_precision(config.precision)
    model.embedding.weight.trainable = not config.freeze_vectors
    return model


def check_fits(config: Config, path: Path) -> None:
    """Raise CheckpointError, before a model is built, if a model file has other options."""
    _, note = load_model_and_note(path, TextClassifier)
    options = _model_options(config, 0, 0)
    names = options.keys() & note["model"].keys() - {"vocab_size", "num_outputs"}
    check_same(path, note["model"], options, names)


def _model_options(config: Config, vocab_size: int, num_outputs: int) -> dict[str, Any]:
    names = (
        "embedding_dim", "cell", "hidden_size", "num_layers", "bidirectional", "pooling",
        "dropout", "embedding_dropout", "embedding_std", "bigrams", "dtype",
    )  # fmt: skip
    sizes = {"vocab_size": vocab_size, "num_outputs": num_outputs}
    return {**sizes, **{name: getattr(config, name) for name in names}}


def build_trainer(
    config: Config, model: TextClassifier, data: Dataset, folder: RunFolder,
    listeners: Iterable[Listener], lr: float | None = None,
) -> Trainer:  # fmt: skip
    """Return the trainer that the options describe, writing into `folder`.

    `lr` is given where the learning rate is not that of the options.
    """
    files = _Files(folder, note_of(config, data))
    config = config if lr is None else replace(config, lr=lr)
    begun = data.start.identity if data.start else {}
    trainer = Trainer(
        model,
        optimizer(config.optimizer, model, config.lr, config.weight_decay, config.momentum),
        loss_of(data.num_outputs),
        epochs=config.epochs,
        schedule=get_schedule(config.schedule, config.warmup),
        clip=config.clip,
        average=Average(model, config.average) if config.average else None,
        patience=config.patience,
        seed=config.seed,
        transform=_transform(config, data),
        checkpoint=folder.checkpoint,
        identity={**_identity(config), **data.identity, **begun},
        listeners=[files, *listeners],
    )
    files.trainer = trainer
    return trainer


def _transform(config: Config, data: Dataset) -> Transform | None:
    """Return what hides words of a training batch, and replaces its labels by targets."""
    hide = WordDropout(config.word_dropout) if config.word_dropout else None
    targets = data.targets
    if targets is None:
        return hide

    def transform(batch: Batch, rng: np.random.Generator) -> Batch:
        batch = hide(batch, rng) if hide else batch
        return replace(batch, labels=targets[batch.index])

    return transform


def _identity(config: Config) -> dict[str, Any]:
    """Return the options that the result depends on, as runs of earlier versions have them."""
    options, added = config.to_json().items(), config.added_options
    kept = {k: v for k, v in options if k not in config.free_options}
    return {k: v for k, v in kept.items() if k not in added or v != added[k]}


def keep_best(
    folder: RunFolder, trainer: Trainer, note: dict[str, Any], parts: Parts | None = None
) -> None:
    """Write the model with the best epoch's weights, and the `note_of` its run.

    It is the net alone where `parts` are not given, as those of a run that is not finished.
    """
    if not folder.writes:
        return
    weights, epoch = trainer.best_weights, trainer.history.best
    parts = parts or Parts(trainer.model)
    save_parts(folder.model, parts, weights, epoch=epoch, **note)


def note_of(config: Config, data: Dataset) -> dict[str, Any]:
    """Return what a model's file tells of its run, and of its classes: not the two of IMDB."""
    names = {"labels": list(data.labels)} if data.labels else {}
    return {**names, **note_of_run(config, data.vocab)}


class _Files(Listener):
    """Keeps ``metrics.jsonl`` and ``model.safetensors`` up to date while training."""

    trainer: Trainer

    def __init__(self, folder: RunFolder, note: dict[str, Any]) -> None:
        self.folder, self.note = folder, note

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        self.folder.write_history(self.trainer.history)
        if is_best:
            keep_best(self.folder, self.trainer, self.note)


def fit(trainer: Trainer, data: Dataset, config: Config) -> History:
    """Train on the texts until the trainer is finished."""
    parts = (data.train, config.batch_size, config.seed, data.validation, EVALUATION_BATCH)
    return trainer.fit(*shuffled(batches, *parts))
