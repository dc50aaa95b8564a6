"""Train a `TextClassifier` on encoded texts, into an output folder: what every command shares."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastlstm._version import __version__
from fastlstm.models import TextClassifier
from fastlstm.nn import bce_with_logits, cross_entropy
from fastlstm.runtime import runtime_info, set_num_threads
from fastlstm.text import Encoded, Vocabulary, batches, count_batches
from fastlstm.train.average import Average
from fastlstm.train.classifier.config import ADDED, Config
from fastlstm.train.classifier.model_file import build_model, save_model
from fastlstm.train.classifier.predict import EVALUATION_BATCH, LogitRows, log_probabilities
from fastlstm.train.classifier.pretrain import PretrainOptions, pretrain
from fastlstm.train.classifier.report import epoch_table, summary
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.word_dropout import WordDropout
from fastlstm.train.curves import draw_curves
from fastlstm.train.evaluate import Loss, evaluate
from fastlstm.train.history import Epoch, History
from fastlstm.train.listener import Listener
from fastlstm.train.metrics import Running
from fastlstm.train.optim import SGD, Adam, AdamW, Optimizer
from fastlstm.train.progress import Progress
from fastlstm.train.schedule import get as get_schedule
from fastlstm.train.scoring.scores import score
from fastlstm.train.seeds import PRETRAINING, generator
from fastlstm.train.trainer import Trainer

SHOWN = 20  # classes whose texts are counted in what a run prints first


@dataclass(frozen=True)
class Dataset:
    """Texts to train and test on, encoded and cut to length.

    Attributes
    ----------
    train : what is trained on.
    validation, test : None where nothing is held back.
    vocab : the words that the ids stand for.
    source : what was loaded, in words.
    identity : changes with any word or label; a resumed run must have the same.
    labels : names of the classes, by number; empty for two classes whose names are not kept.
    noun : what messages and metrics call the texts.
    options : of the config that were left open, and what they are for these texts.
    complete, notice : whether these are all of the texts, and what the user must be told if not.
    unlabelled : more texts, to pretrain on.
    """

    train: Encoded
    validation: Encoded | None
    test: Encoded | None
    vocab: Vocabulary
    source: str
    identity: dict[str, Any]
    labels: tuple[str, ...] = ()
    noun: str = "texts"
    options: dict[str, Any] = field(default_factory=dict)
    complete: bool = True
    notice: str = ""
    unlabelled: Encoded | None = None

    @property
    def num_outputs(self) -> int:
        """Of the model: one logit tells two classes apart."""
        return len(self.labels) if len(self.labels) > 2 else 1


def run(
    config: Config, folder: RunFolder, load: Callable[[], Dataset], *,
    resume: bool = False, bars: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Train, or go on from the folder's checkpoint, and test once with the best weights.

    Parameters
    ----------
    config : the options.
    folder : where the files go; an earlier run in it is replaced, unless it is to be resumed.
    load : loads the data.
    resume : whether to go on with the folder's run; `config` must be its options.
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
    data = load()
    load_seconds = time.perf_counter() - start
    config = replace(config, **data.options)
    _announce(data, load_seconds)
    model = build_model(config, len(data.vocab), data.num_outputs)
    if not resume:
        folder.begin(config.to_json())
    data.vocab.save(folder.vocab)
    pretraining = start_from_pretraining(config, model, data, folder) if config.pretrain else {}
    trainer = build_trainer(config, model, data, folder, [Progress(bars)])
    if resume and folder.checkpoint.exists():
        trainer.load(folder.checkpoint)
        folder.write_history(trainer.history)
    fit(trainer, data, config)
    save_model(folder.model, trainer, config, len(data.vocab), data.labels)
    folder.write_history(trainer.history)
    tested, results = measure(model, data)
    metrics = {**collect(config, data, trainer, tested, load_seconds), **pretraining, **results}
    draw_curves(folder.curves, trainer.history, _title(metrics))
    folder.finish(metrics)
    print(f"\n{epoch_table(trainer.history)}\n\n{summary(metrics, data.noun)}")
    if data.notice:
        print(f"\n{data.notice}")
    return metrics


def start_from_pretraining(
    config: Config, model: TextClassifier, data: Dataset, folder: RunFolder
) -> dict[str, Any]:
    """Pretrain on all training texts, labelled or not, or go on with that; return its metrics."""
    parts = [data.train] if data.unlabelled is None else [data.train, data.unlabelled]
    texts = Encoded.concatenate(parts)
    found = pretrain(
        config, texts, len(data.vocab), generator(config.seed, PRETRAINING), _say,
        options=PretrainOptions(config.pretrain_epochs, validation=min(500, len(texts) // 20)),
        checkpoint=folder.pretraining,
    )  # fmt: skip
    model.load_state_dict({**model.state_dict(), **found.weights})
    return {
        "pretrain_texts": len(texts),
        "pretrain_perplexity": found.perplexity,
        "pretrain_seconds": found.seconds,
    }


def loss_of(num_outputs: int) -> Loss:
    """Return the loss of a model with so many outputs."""
    return bce_with_logits if num_outputs == 1 else cross_entropy


def build_optimizer(config: Config, model: TextClassifier) -> Optimizer:
    """Return the optimizer that the options name."""
    if config.optimizer == "sgd":
        return SGD(model, config.lr, config.momentum, config.weight_decay)
    kind = AdamW if config.optimizer == "adamw" else Adam
    return kind(model, config.lr, weight_decay=config.weight_decay)


def build_trainer(
    config: Config, model: TextClassifier, data: Dataset, folder: RunFolder,
    listeners: Iterable[Listener],
) -> Trainer:  # fmt: skip
    """Return the trainer that the options describe, writing into `folder`."""
    files = _Files(folder, config, data)
    trainer = Trainer(
        model,
        build_optimizer(config, model),
        loss_of(data.num_outputs),
        epochs=config.epochs,
        schedule=get_schedule(config.schedule, config.warmup),
        clip=config.clip,
        average=Average(model, config.average) if config.average else None,
        patience=config.patience,
        seed=config.seed,
        transform=WordDropout(config.word_dropout) if config.word_dropout else None,
        checkpoint=folder.checkpoint,
        identity={**_identity(config), **data.identity},
        listeners=[files, *listeners],
    )
    files.trainer = trainer
    return trainer


def _identity(config: Config) -> dict[str, Any]:
    """Return the options that the result depends on, so that runs of earlier versions fit."""
    options = config.to_json()
    for name in config.free_options:
        del options[name]
    for name, value in ADDED.items():
        if options[name] == value:
            del options[name]
    return options


class _Files(Listener):
    """Keeps ``metrics.jsonl`` and ``model.safetensors`` up to date while training."""

    trainer: Trainer

    def __init__(self, folder: RunFolder, config: Config, data: Dataset) -> None:
        self.folder, self.config = folder, config
        self.vocab_size, self.labels = len(data.vocab), data.labels

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        self.folder.write_history(self.trainer.history)
        if is_best:
            save_model(self.folder.model, self.trainer, self.config, self.vocab_size, self.labels)


def fit(trainer: Trainer, data: Dataset, config: Config) -> History:
    """Train on the texts until the trainer is finished."""

    def epoch_batches(epoch: int, start: int) -> Iterable[Any]:
        return batches(data.train, config.batch_size, seed=config.seed, epoch=epoch, start=start)

    held_back = data.validation
    return trainer.fit(
        epoch_batches,
        count_batches(data.train, config.batch_size),
        None if held_back is None else lambda: batches(held_back, EVALUATION_BATCH),
    )


def measure(model: TextClassifier, data: Dataset) -> tuple[Running | None, dict[str, Any]]:
    """Return loss and accuracy on the test texts; where classes have names also other scores."""
    if data.test is None:
        return None, {"labels": list(data.labels)}
    rows = LogitRows(len(data.test))
    loss = loss_of(data.num_outputs)
    tested = evaluate(model, batches(data.test, EVALUATION_BATCH), loss, on_batch=rows.add)
    if not data.labels:
        return tested, {}
    scores = score(log_probabilities(rows.logits), data.test.labels)
    return tested, {
        "labels": list(data.labels),
        "test_macro_f1": scores.macro_f1,
        "test_f1": dict(zip(data.labels, scores.f1, strict=True)),
        "test_calibration_error": scores.calibration.error,
    }


def fingerprint(words: Sequence[str], parts: Iterable[Encoded]) -> int:
    """Return a number that changes with any of the words, and any word or label of the parts."""
    crc = zlib.crc32(json.dumps(words).encode())
    for part in parts:
        for array in (part.tokens, part.offsets, part.labels):
            crc = zlib.crc32(array.data, crc)
    return crc


def collect(
    config: Config, data: Dataset, trainer: Trainer, tested: Running | None, load_seconds: float
) -> dict[str, Any]:
    """Return the contents of ``metrics.json``."""
    history, runtime = trainer.history, runtime_info()
    best = history.epochs[history.best - 1]
    seconds = [epoch.seconds for epoch in history.epochs]
    words = sum(epoch.words for epoch in history.epochs)
    eval_seconds = tested.seconds if tested else 0.0
    return {
        "test_accuracy": tested.accuracy if tested else None,
        "test_loss": tested.loss if tested else None,
        "validation_accuracy": best.validation_accuracy,
        "validation_loss": best.validation_loss,
        "best_epoch": history.best,
        "epochs": len(history.epochs),
        "epoch_seconds": seconds,
        "train_seconds": sum(seconds),
        "eval_seconds": eval_seconds + sum(e.validation_seconds for e in history.epochs),
        "load_seconds": load_seconds,
        "words_per_second": words / sum(seconds),
        "threads": runtime["threads"],
        "isa": runtime["isa"],
        "backend": runtime["backend"],
        "parameters": sum(parameter.data.size for parameter in trainer.model.parameters()),
        "data": data.source,
        "data_complete": data.complete,
        f"train_{data.noun}": len(data.train),
        f"validation_{data.noun}": len(data.validation) if data.validation else 0,
        f"test_{data.noun}": len(data.test) if data.test else 0,
        "seed": config.seed,
        "version": __version__,
    }


def _announce(data: Dataset, seconds: float) -> None:
    if data.notice:
        print(f"{data.notice}\n")
    held_back = len(data.validation) if data.validation else 0
    tested = f"{len(data.test):,} to test on" if data.test else "none to test on"
    print(f"data: {data.source}; loaded in {seconds:.1f} s")
    if data.labels:
        counts = np.bincount(data.train.labels, minlength=len(data.labels)).tolist()
        named = [f"{label} {count:,}" for label, count in zip(data.labels, counts, strict=True)]
        more = f", ... ({len(named)} classes)" if len(named) > SHOWN else ""
        print(f"classes: {', '.join(named[:SHOWN])}{more}")
    print(
        f"{len(data.train):,} {data.noun} to train on, {held_back:,} held back for validation, "
        f"{tested}; {len(data.vocab):,} words",
        flush=True,
    )


def _say(line: str) -> None:
    print(line, flush=True)  # a log that is followed shows it at once


def _title(metrics: dict[str, Any]) -> str:
    if metrics["test_accuracy"] is None:
        return f"trained on {metrics['data']}"
    return f"test accuracy {metrics['test_accuracy']:.2%} on the {metrics['data']}"
