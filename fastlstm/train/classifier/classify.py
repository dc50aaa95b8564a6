"""Trains a `TextClassifier` on encoded texts, into an output folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastlstm.counts import count_of
from fastlstm.distributed.launch import current
from fastlstm.models import TextClassifier
from fastlstm.printable import printable, say
from fastlstm.runtime import num_threads
from fastlstm.text import Encoded
from fastlstm.text.tokenizer import UNITS
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import UNLABELLED, Dataset
from fastlstm.train.classifier.extend import check_can_extend, check_same_texts, extend
from fastlstm.train.classifier.joining import join_parts, linear_alone, train_linear
from fastlstm.train.classifier.linear_part import LinearPart
from fastlstm.train.classifier.one_run import note_of_run
from fastlstm.train.classifier.parts import Parts, save_parts
from fastlstm.train.classifier.pretrain import (
    FINE_TUNING,
    NEAREST,
    Pretrained,
    PretrainOptions,
    pretrain,
)
from fastlstm.train.classifier.report import epoch_table, summary
from fastlstm.train.classifier.results import about, measure, of_training
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.teachers import learn_from_teachers
from fastlstm.train.classifier.trained_texts import hashes_of, write_hashes
from fastlstm.train.classifier.training import (
    build_model,
    build_trainer,
    check_fits,
    fit,
    keep_best,
    note_of,
)
from fastlstm.train.curves import draw_curves
from fastlstm.train.listener import Listener
from fastlstm.train.progress import Progress
from fastlstm.train.seeds import PRETRAINING, generator
from fastlstm.train.trainer import Trainer

Load = Callable[[Any, bool], Dataset]
LearnLinear = Callable[[Config, Dataset], LinearPart]

SHOWN = 20  # classes shown when a run begins


class Job(NamedTuple):
    """What a run is made of, once its data are read.

    Attributes
    ----------
    config : its options, with those that the data decide.
    data, folder : what it learns from, and where it writes.
    resume : whether it goes on with what the folder holds.
    extends : whether that is a finished run, which gets more epochs.
    bars : whether to show progress bars.
    linear_part : learns what is to stand beside the net.
    load_seconds : how long the data took to read.
    """

    config: Config
    data: Dataset
    folder: RunFolder
    resume: bool
    extends: bool
    bars: bool
    linear_part: LearnLinear
    load_seconds: float


def run(
    load: Load, config: Config, folder: RunFolder, *, resume: bool = False, bars: bool = False,
    listeners: Iterable[Listener] = (), linear_part: LearnLinear | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train, or go on from the folder's checkpoint, test the best weights once; return metrics.

    `load` is called with the options and `bars`: whether to show progress bars. An earlier run in
    the folder is replaced, unless `resume` is set: then `config` must be its options. `listeners`
    hear of the net's training, and `linear_part`, by default `train_linear`, learns what is to
    stand beside the net.

    Raises TrainingInterrupted after Ctrl-C, with the checkpoint written; CheckpointError, OSError,
    ValueError or FloatingPointError if the checkpoint or the data does not fit, a file cannot be
    read or written, another process writes in the folder, or the run diverges.
    """
    folder.check_apart(config.from_run)
    with folder.locked(), num_threads(config.threads or None):
        start = time.perf_counter()
        data = load(config, bars)
        current().agree(data.identity)  # before anything is written
        load_seconds = time.perf_counter() - start
        config = replace(config, **data.options, **(data.start.options if data.start else {}))
        _announce(data, load_seconds)
        extends = resume and folder.finished
        if extends:
            check_can_extend(config, folder, data)
        learn_linear = linear_part or train_linear
        job = Job(config, data, folder, resume, extends, bars, learn_linear, load_seconds)
        return run_linear(job) if config.parts == "linear" else run_net(job, listeners)


def run_net(job: Job, listeners: Iterable[Listener]) -> dict[str, Any]:
    """Train and test a net, beside a linear part if there is to be one."""
    config, data, folder = job.config, job.data, job.folder
    if job.resume and folder.model.exists():
        check_fits(config, folder.model)
    model = build_model(config, len(data.vocab), data.num_outputs)
    before: dict[str, Any] = {"load_seconds": job.load_seconds}
    if data.start is not None:
        data.start.put_into(model)
        before |= data.start.metrics
    if not job.resume:
        folder.begin(config.to_json())
    current().barrier()  # what stands in the folder is the same to all processes
    linear = job.linear_part(config, data) if config.parts == "joined" else None
    learned, lr = data, config.lr
    if config.pretrain:
        learned, pretraining = prepare(job, model, linear)
        before |= pretraining
        lr *= FINE_TUNING
    trainer = build_trainer(config, model, learned, folder, [Progress(job.bars), *listeners], lr)
    _go_on(job, trainer)
    write_words(config, data, folder)
    fit(trainer, learned, config)
    metrics = conclude(config, data, trainer, folder, before, linear=linear)
    say(f"\n{epoch_table(trainer.history)}\n\n{summary(metrics, data.noun)}")
    return metrics


def _go_on(job: Job, trainer: Trainer) -> None:
    """Load where a run stands that is resumed, which tells whether the data is that of the run."""
    folder = job.folder
    if job.extends:
        extend(trainer, job.config, folder)
    elif job.resume and folder.checkpoint.exists():
        trainer.load(folder.checkpoint)
        folder.write_history(trainer.history)


def run_linear(job: Job) -> dict[str, Any]:
    """Train and test a linear part alone, from the beginning: it takes seconds."""
    config, data, folder = job.config, job.data, job.folder
    if job.resume:
        check_same_texts(folder, data)
    else:
        folder.begin(config.to_json())
    write_words(config, data, folder)
    part = job.linear_part(config, data)
    parts, metrics = linear_alone(part, data)
    if folder.writes:
        save_parts(folder.model, parts, **note_of(config, data))
    tested = measure(parts, data)
    seconds = metrics["linear_seconds"]
    assert data.whole is not None
    metrics |= {
        "best_epoch": 0,
        "epochs": 0,
        "epoch_seconds": [],
        "train_seconds": seconds,
        "words_per_second": len(data.whole.of("train").ids) / part.seconds,
        "eval_seconds": tested.pop("eval_seconds"),
        "load_seconds": job.load_seconds,
    }
    metrics = {**metrics, **about(config, data, parts), **tested}
    metrics = folder.finish(metrics)
    say(f"\n{summary(metrics, data.noun)}")
    return metrics


def write_words(config: Config, data: Dataset, folder: RunFolder) -> None:
    """Write the vocabulary of a run, and what tells the texts that it learns from."""
    if not folder.writes:
        return
    data.vocab.save(folder.vocab)
    write_hashes(folder.trained_texts, hashes_of(data), **note_of_run(config, data.vocab))


def conclude(
    config: Config, data: Dataset, trainer: Trainer, folder: RunFolder, more: dict[str, Any],
    title: str = "", linear: LinearPart | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Test the best weights once, write all files that are kept, and return the metrics.

    `more` are metrics of what came before; `title` is that of the picture, "{}" the accuracy in it.
    The net is joined to a `linear` part.
    """
    parts, joined = Parts(trainer.model), dict[str, Any]()
    if linear is not None:
        parts, joined = join_parts(trainer.model, linear, data)
    keep_best(folder, trainer, note_of(config, data), parts)
    folder.write_history(trainer.history)
    metrics = {**of_training(trainer.history), **about(config, data, parts), **more, **joined}
    tested = measure(parts, data)
    metrics["eval_seconds"] += tested.pop("eval_seconds")
    metrics["train_seconds"] += sum(joined.get(f"{name}_seconds", 0) for name in ("linear", "join"))
    metrics |= tested
    if folder.writes and folder.draws:
        draw_curves(folder.curves, trainer.history, title_of(metrics, title))
    metrics = folder.finish(metrics)
    trainer.processes.barrier()  # which another run may begin with
    return metrics


def prepare(
    job: Job, model: TextClassifier, linear: LinearPart | None
) -> tuple[Dataset, dict[str, Any]]:
    """Pretrain the model and let teachers label texts; return the data to learn and metrics."""
    config, data, folder, resume = job.config, job.data, job.folder, job.resume

    def teach(own: Config, part: RunFolder, known: Dataset) -> None:
        own = replace(own, lr=own.lr * FINE_TUNING)
        run(lambda *_: known, own, part, resume=resume and part.holds_run, bars=job.bars)

    start, pretraining = start_from_pretraining(config, data, folder)
    start.put_into(model)
    if not config.teachers or data.unlabelled is None:
        return data, pretraining
    if data.num_outputs > 1:
        say("no teachers: they are for two classes")
        return data, pretraining
    learned, teachers = learn_from_teachers(
        config, data, folder, start, teach, linear, resume=resume
    )
    return learned, {**pretraining, **teachers}


def start_from_pretraining(
    config: Config, data: Dataset, folder: RunFolder
) -> tuple[Pretrained, dict[str, Any]]:
    """Pretrain on all training texts, or go on with that; return what it learned, and metrics."""
    parts = [data.train] if data.unlabelled is None else [data.train, data.unlabelled]
    texts, window = Encoded.concatenate(parts), config.pretrain_window
    how = NEAREST if window == 1 else {"window": window}
    found = pretrain(
        config,
        texts,
        len(data.vocab),
        generator(config.seed, PRETRAINING),
        partial(say, flush=True),
        options=PretrainOptions(
            config.pretrain_epochs, validation=min(500, len(texts) // 20), **how
        ),
        checkpoint=folder.pretraining,
        identity={name: data.identity[name] for name in (UNLABELLED,) if name in data.identity},
    )
    return found, {
        "pretrain_texts": len(texts),
        "pretrain_perplexity": found.perplexity,
        "pretrain_seconds": found.seconds,
    }


def _announce(data: Dataset, seconds: float) -> None:
    trained, held_back, tested = (f"{count:,}" for count in data.sizes.values())
    units = UNITS[data.vocab.analyzer]
    say(f"data: {data.source}; loaded in {seconds:.1f} s")
    if data.notice:
        say(data.notice)
    if data.labels:
        counts = np.bincount(data.train.labels, minlength=len(data.labels)).tolist()
        texts = zip(data.labels, counts, strict=True)
        named = [f"{printable(label)} ({count:,})" for label, count in texts]
        more = f", ... ({count_of(len(named), 'class', 'classes')})" if len(named) > SHOWN else ""
        say(f"classes (texts of each): {', '.join(named[:SHOWN])}{more}")
    say(
        f"{trained} {data.noun} to train on, {held_back} held back for validation, "
        f"{tested if data.test else 'none'} to test on; {len(data.vocab):,} {units}",
        flush=True,
    )
    if data.start is not None:
        say(data.start.told(data.train), flush=True)


def title_of(metrics: dict[str, Any], title: str = "") -> str:
    """Return the title of a run's picture; `title` as in `conclude`."""
    if metrics["test_accuracy"] is None:
        return f"trained on {metrics['data']}"
    accuracy = f"test accuracy {metrics['test_accuracy']:.2%}"
    return title.replace("{}", accuracy) if title else f"{accuracy} on the {metrics['data']}"
