"""Trains a `TextClassifier` on encoded texts, into an output folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fastlstm._version import __version__
from fastlstm.models import TextClassifier
from fastlstm.printable import printable, say
from fastlstm.runtime import num_threads, runtime_info
from fastlstm.text import Encoded, batches
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.extend import check_can_extend, extend
from fastlstm.train.classifier.predict import EVALUATION_BATCH, LogitRows, log_probabilities
from fastlstm.train.classifier.pretrain import PretrainOptions, pretrain
from fastlstm.train.classifier.report import epoch_table, summary
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.teachers import learn_from_teachers
from fastlstm.train.classifier.trained_texts import hashes_of, write_hashes
from fastlstm.train.classifier.training import (
    build_model,
    build_trainer,
    check_fits,
    fit,
    keep_best,
    loss_of,
)
from fastlstm.train.curves import draw_curves
from fastlstm.train.evaluate import evaluate
from fastlstm.train.metrics import Running
from fastlstm.train.progress import Progress
from fastlstm.train.scoring.scores import score
from fastlstm.train.seeds import PRETRAINING, generator
from fastlstm.train.trainer import Trainer

# Factor on the learning rate after pretraining: with the full rate the weights forget it (on IMDB
# 91.6 % of the validation reviews are right, not 92.2 %).
FINE_TUNING = 0.5
Load = Callable[[Any, bool], Dataset]

SHOWN = 20  # classes shown when a run begins


def run(
    load: Load, config: Config, folder: RunFolder, *, resume: bool = False, bars: bool = False
) -> dict[str, Any]:
    """Train, or go on from the folder's checkpoint, test the best weights once; return metrics.

    `load` is called with the options and `bars`: whether to show progress bars. An earlier run in
    the folder is replaced, unless `resume` is set: then `config` must be its options.

    Raises TrainingInterrupted after Ctrl-C, with the checkpoint written; CheckpointError, OSError,
    ValueError or FloatingPointError if the checkpoint or the data does not fit, a file cannot be
    read or written, another process writes in the folder, or the run diverges.
    """
    with folder.locked(), num_threads(config.threads or None):
        start = time.perf_counter()
        data = load(config, bars)
        load_seconds = time.perf_counter() - start
        config = replace(config, **data.options)
        _announce(data, load_seconds)
        extending = resume and folder.finished
        if extending:
            check_can_extend(config, folder, data)
        if resume and folder.model.exists():
            check_fits(config, folder.model)
        model = build_model(config, len(data.vocab), data.num_outputs)
        if not resume:
            folder.begin(config.to_json())
        data.vocab.save(folder.vocab)
        write_hashes(folder.trained_texts, hashes_of(data))
        learned, before = data, dict[str, Any]()
        if config.pretrain:
            learned, before = prepare(config, model, data, folder, resume, bars)
            config = replace(config, lr=config.lr * FINE_TUNING)
        trainer = build_trainer(config, model, learned, folder, [Progress(bars)])
        if extending:
            extend(trainer, config, folder)
        elif resume and folder.checkpoint.exists():
            trainer.load(folder.checkpoint)
            folder.write_history(trainer.history)
        fit(trainer, learned, config)
        metrics = conclude(config, data, trainer, folder, {**before, "load_seconds": load_seconds})
        say(f"\n{epoch_table(trainer.history)}\n\n{summary(metrics, data.noun)}")
        return metrics


def conclude(
    config: Config, data: Dataset, trainer: Trainer, folder: RunFolder, more: dict[str, Any],
    title: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Test the best weights once, write all files that are kept, and return the metrics.

    `more` are metrics of what came before; `title` is that of the picture, "{}" the accuracy in it.
    """
    keep_best(folder, trainer, data.labels)
    folder.write_history(trainer.history)
    tested, results = measure(trainer.model, data)
    metrics = {**collect(config, data, trainer, tested), **more, **results}
    draw_curves(folder.curves, trainer.history, _title(metrics, title))
    folder.finish(metrics)
    return metrics


def prepare(
    config: Config, model: TextClassifier, data: Dataset, folder: RunFolder, resume: bool,
    bars: bool,
) -> tuple[Dataset, dict[str, Any]]:  # fmt: skip
    """Pretrain the model and let teachers label texts; return the data to learn and metrics."""

    def teach(own: Config, part: RunFolder, known: Dataset) -> None:
        run(lambda *_: known, own, part, resume=resume and part.holds_run, bars=bars)

    pretraining = start_from_pretraining(config, model, data, folder)
    if not config.teachers or data.unlabelled is None:
        return data, pretraining
    learned, teachers = learn_from_teachers(config, data, folder, teach, resume=resume)
    return learned, {**pretraining, **teachers}


def start_from_pretraining(
    config: Config, model: TextClassifier, data: Dataset, folder: RunFolder
) -> dict[str, Any]:
    """Pretrain on all training texts, or go on with that; return its metrics."""
    parts = [data.train] if data.unlabelled is None else [data.train, data.unlabelled]
    texts = Encoded.concatenate(parts)
    found = pretrain(
        config,
        texts,
        len(data.vocab),
        generator(config.seed, PRETRAINING),
        partial(say, flush=True),
        options=PretrainOptions(config.pretrain_epochs, validation=min(500, len(texts) // 20)),
        checkpoint=folder.pretraining,
    )
    model.load_state_dict({**model.state_dict(), **found.weights})
    return {
        "pretrain_texts": len(texts),
        "pretrain_perplexity": found.perplexity,
        "pretrain_seconds": found.seconds,
    }


def measure(model: TextClassifier, data: Dataset) -> tuple[Running | None, dict[str, Any]]:
    """Return loss and accuracy on the test texts, and other scores if the classes have names."""
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


def collect(
    config: Config, data: Dataset, trainer: Trainer, tested: Running | None
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
        "words_per_second": words / sum(seconds),
        **{name: runtime[name] for name in ("threads", "isa", "backend")},
        "precision": config.precision,
        "parameters": sum(parameter.data.size for parameter in trainer.model.parameters()),
        "data": data.source,
        "data_complete": data.complete,
        **{f"{part}_{data.noun}": count for part, count in data.sizes.items()},
        "seed": config.seed,
        "version": __version__,
    }


def _announce(data: Dataset, seconds: float) -> None:
    trained, held_back, tested = (f"{count:,}" for count in data.sizes.values())
    say(f"data: {data.source}; loaded in {seconds:.1f} s")
    if data.notice:
        say(data.notice)
    if data.labels:
        counts = np.bincount(data.train.labels, minlength=len(data.labels)).tolist()
        texts = zip(data.labels, counts, strict=True)
        named = [f"{printable(label)} ({count:,})" for label, count in texts]
        more = f", ... ({len(named)} classes)" if len(named) > SHOWN else ""
        say(f"classes (texts of each): {', '.join(named[:SHOWN])}{more}")
    say(
        f"{trained} {data.noun} to train on, {held_back} held back for validation, "
        f"{tested if data.test else 'none'} to test on; {len(data.vocab):,} words",
        flush=True,
    )


def _title(metrics: dict[str, Any], title: str) -> str:
    if metrics["test_accuracy"] is None:
        return f"trained on {metrics['data']}"
    accuracy = f"test accuracy {metrics['test_accuracy']:.2%}"
    return title.replace("{}", accuracy) if title else f"{accuracy} on the {metrics['data']}"
