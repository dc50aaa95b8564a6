"""The main job: train a `TextClassifier` on the IMDB reviews, into an output folder."""

from __future__ import annotations

import json
import time
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fastlstm._version import __version__
from fastlstm.models import TextClassifier
from fastlstm.nn import bce_with_logits
from fastlstm.runtime import runtime_info, set_num_threads
from fastlstm.text import (
    Batch,
    Encoded,
    ImdbData,
    IncompleteDataWarning,
    batches,
    count_batches,
    load_imdb,
)
from fastlstm.train import checkpoint
from fastlstm.train.average import Average
from fastlstm.train.config import ADDED, Config
from fastlstm.train.curves import draw_curves
from fastlstm.train.evaluate import evaluate
from fastlstm.train.history import Epoch, History
from fastlstm.train.listener import Listener
from fastlstm.train.metrics import Running
from fastlstm.train.optim import SGD, Adam, AdamW, Optimizer
from fastlstm.train.progress import Progress
from fastlstm.train.report import epoch_table, summary
from fastlstm.train.run_folder import RunFolder
from fastlstm.train.schedule import get as get_schedule
from fastlstm.train.seeds import SPLIT, WEIGHTS, generator
from fastlstm.train.trainer import Trainer
from fastlstm.train.word_dropout import WordDropout

# Reviews in a batch where nothing is kept for a backward pass.
EVALUATION_BATCH = 128

# Options that a resumed run may be given anew: the result does not depend on them.
FREE_OPTIONS = ("data", "threads")


class Reviews(NamedTuple):
    """The data of a run, cut to length; `validation` is None where nothing is held back."""

    train: Encoded
    validation: Encoded | None
    test: Encoded


def run(
    config: Config, folder: RunFolder, *, resume: bool = False, bars: bool = False
) -> dict[str, Any]:
    """Train, or go on from the folder's checkpoint, and test once with the best weights.

    Parameters
    ----------
    config : the options.
    folder : where the files go; an earlier run in it is replaced, unless
    resume : to go on with it; `config` must be its options.
    bars : whether to show progress bars.

    Returns
    -------
    dict : what ``metrics.json`` holds then.

    Raises
    ------
    TrainingInterrupted
        After Ctrl-C; the checkpoint is written.
    CheckpointError, FileNotFoundError, OSError, ValueError, FloatingPointError
        If the checkpoint or the data does not fit, a file cannot be written, or the run
        diverges.
    """
    if config.threads:
        set_num_threads(config.threads)
    start = time.perf_counter()
    data = load(config, bars)
    reviews = split(data, config)
    load_seconds = time.perf_counter() - start
    _announce(data, reviews, load_seconds)
    model = build_model(config, len(data.vocab))
    trainer = build_trainer(config, model, data, folder, [Progress(bars)])
    if not resume:
        folder.begin(config.to_json())
    elif folder.checkpoint.exists():
        trainer.load(folder.checkpoint)
        folder.write_history(trainer.history)
    data.vocab.save(folder.vocab)
    fit(trainer, reviews, config)
    save_model(folder.model, trainer, config, len(data.vocab))
    folder.write_history(trainer.history)
    score = evaluate(model, batches(reviews.test, EVALUATION_BATCH), bce_with_logits)
    metrics = collect(config, data, reviews, trainer, score, load_seconds)
    draw_curves(folder.curves, trainer.history, _title(metrics))
    folder.finish(metrics)
    print(f"\n{epoch_table(trainer.history)}\n\n{summary(metrics)}")
    if data.notice:
        print(f"\n{data.notice}")
    return metrics


def load(config: Config, bars: bool = False) -> ImdbData:
    """Load the reviews; that they are not the full data is told by the run, not by a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IncompleteDataWarning)
        return load_imdb(config.data, vocab_size=config.vocab_size, progress=bars)


def split(data: ImdbData, config: Config) -> Reviews:
    """Cut reviews to length and hold back the validation part, drawn by the seed."""
    train, test = (
        part.truncate(config.max_length, keep=config.truncate) for part in (data.train, data.test)
    )
    if not config.validation:
        return Reviews(train, None, test)
    held_back = round(config.validation * len(train))
    if not 0 < held_back < len(train):
        raise ValueError(
            f"validation is {config.validation}, which holds back {held_back} of {len(train)} "
            "training reviews; expected at least one on either side"
        )
    order = generator(config.seed, SPLIT).permutation(len(train))
    return Reviews(train.select(order[held_back:]), train.select(order[:held_back]), test)


def build_model(config: Config, vocab_size: int) -> TextClassifier:
    """Return the untrained model of a run."""
    rng = generator(config.seed, WEIGHTS)
    return TextClassifier(**_model_options(config, vocab_size), rng=rng)


def load_model(path: str | Path) -> TextClassifier:
    """Return the trained model of a ``model.safetensors``.

    Raises
    ------
    FileNotFoundError, CheckpointError
        As `train.checkpoint.load`.
    """
    tensors, note = checkpoint.load(path, "model")
    model = TextClassifier(**note["model"])
    model.load_state_dict(tensors)
    return model


def save_model(path: Path, trainer: Trainer, config: Config, vocab_size: int) -> None:
    """Write the best epoch's weights and how to build the model around them."""
    note = {"model": _model_options(config, vocab_size), "epoch": trainer.history.best}
    checkpoint.save(path, trainer.best_weights, "model", note)


def _model_options(config: Config, vocab_size: int) -> dict[str, Any]:
    names = (
        "embedding_dim", "cell", "hidden_size", "num_layers", "bidirectional", "pooling",
        "dropout", "embedding_dropout", "embedding_std", "dtype",
    )  # fmt: skip
    return {"vocab_size": vocab_size, **{name: getattr(config, name) for name in names}}


def build_optimizer(config: Config, model: TextClassifier) -> Optimizer:
    """Return the optimizer that the options name."""
    if config.optimizer == "sgd":
        return SGD(model, config.lr, config.momentum, config.weight_decay)
    kind = AdamW if config.optimizer == "adamw" else Adam
    return kind(model, config.lr, weight_decay=config.weight_decay)


def build_trainer(
    config: Config, model: TextClassifier, data: ImdbData, folder: RunFolder,
    listeners: Iterable[Listener],
) -> Trainer:  # fmt: skip
    """Return the trainer that the options describe, writing into `folder`."""
    files = _Files(folder, config, len(data.vocab))
    trainer = Trainer(
        model,
        build_optimizer(config, model),
        bce_with_logits,
        epochs=config.epochs,
        schedule=get_schedule(config.schedule, config.warmup),
        clip=config.clip,
        average=Average(model, config.average) if config.average else None,
        patience=config.patience,
        seed=config.seed,
        transform=WordDropout(config.word_dropout) if config.word_dropout else None,
        checkpoint=folder.checkpoint,
        identity={**_identity(config), "the reviews": fingerprint(data)},
        listeners=[files, *listeners],
    )
    files.trainer = trainer
    return trainer


def _identity(config: Config) -> dict[str, Any]:
    """Return the options that the result depends on, so that runs of earlier versions fit."""
    options = config.to_json()
    for name in FREE_OPTIONS:
        del options[name]
    for name, value in ADDED.items():
        if options[name] == value:
            del options[name]
    return options


class _Files(Listener):
    """Keeps ``metrics.jsonl`` and ``model.safetensors`` up to date while training."""

    trainer: Trainer

    def __init__(self, folder: RunFolder, config: Config, vocab_size: int) -> None:
        self.folder, self.config, self.vocab_size = folder, config, vocab_size

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        self.folder.write_history(self.trainer.history)
        if is_best:
            save_model(self.folder.model, self.trainer, self.config, self.vocab_size)


def fit(trainer: Trainer, reviews: Reviews, config: Config) -> History:
    """Train on the reviews until the trainer is finished."""

    def epoch_batches(epoch: int, start: int) -> Iterable[Batch]:
        return batches(reviews.train, config.batch_size, seed=config.seed, epoch=epoch, start=start)

    held_back = reviews.validation
    return trainer.fit(
        epoch_batches,
        count_batches(reviews.train, config.batch_size),
        None if held_back is None else lambda: batches(held_back, EVALUATION_BATCH),
    )


def fingerprint(data: ImdbData) -> int:
    """Return a number that changes with any word or label of the data."""
    crc = zlib.crc32(json.dumps(data.vocab.words).encode())
    for part in (data.train, data.test):
        for array in (part.tokens, part.offsets, part.labels):
            crc = zlib.crc32(array.data, crc)
    return crc


def collect(
    config: Config, data: ImdbData, reviews: Reviews, trainer: Trainer, score: Running,
    load_seconds: float,
) -> dict[str, Any]:  # fmt: skip
    """Return the contents of ``metrics.json``."""
    history, runtime = trainer.history, runtime_info()
    best = history.epochs[history.best - 1]
    seconds = [epoch.seconds for epoch in history.epochs]
    words = sum(epoch.words for epoch in history.epochs)
    return {
        "test_accuracy": score.accuracy,
        "test_loss": score.loss,
        "validation_accuracy": best.validation_accuracy,
        "validation_loss": best.validation_loss,
        "best_epoch": history.best,
        "epochs": len(history.epochs),
        "epoch_seconds": seconds,
        "train_seconds": sum(seconds),
        "eval_seconds": score.seconds + sum(e.validation_seconds for e in history.epochs),
        "load_seconds": load_seconds,
        "words_per_second": words / sum(seconds),
        "threads": runtime["threads"],
        "isa": runtime["isa"],
        "backend": runtime["backend"],
        "parameters": sum(parameter.data.size for parameter in trainer.model.parameters()),
        "data": data.source,
        "data_complete": data.complete,
        "train_reviews": len(reviews.train),
        "validation_reviews": 0 if reviews.validation is None else len(reviews.validation),
        "test_reviews": len(reviews.test),
        "seed": config.seed,
        "version": __version__,
    }


def _announce(data: ImdbData, reviews: Reviews, seconds: float) -> None:
    if data.notice:
        print(f"{data.notice}\n")
    held_back = 0 if reviews.validation is None else len(reviews.validation)
    print(f"data: {data.source}; loaded in {seconds:.1f} s")
    print(
        f"{len(reviews.train):,} reviews to train on, {held_back:,} held back for validation, "
        f"{len(reviews.test):,} to test on; {len(data.vocab):,} words",
        flush=True,
    )


def _title(metrics: dict[str, Any]) -> str:
    return f"test accuracy {metrics['test_accuracy']:.2%} on the {metrics['data']}"
