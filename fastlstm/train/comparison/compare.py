"""Compares plain RNN, GRU, LSTM, BiLSTM and a bag of words on IMDB.

The nets share reviews, vocabulary, batches, seed and options. Each trains for the same number of
seconds on the same threads, and its learning rate falls over that time; or each makes the same
number of epochs. Validation and test do not count. Each net is validated after equal stretches of
its budget, and tested once, with its best weights by validation.

The bag of words (see `bag_of_words`) learns from the same reviews, uncut and with all their words,
and has no budget.
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NamedTuple

from fastlstm.counts import count_of
from fastlstm.printable import say
from fastlstm.runtime import num_threads
from fastlstm.text import count_batches
from fastlstm.train.classifier.classify import Load, conclude, write_words
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.training import build_model, build_trainer, fit
from fastlstm.train.comparison import bag_of_words
from fastlstm.train.comparison.folder import ComparisonFolder, Plan
from fastlstm.train.comparison.report import BAG_OF_WORDS, Clock, draw_comparison, table, verdict


class Net(NamedTuple):
    """One of the nets: its sub-folder, its name for the reader, its own options."""

    name: str
    title: str
    options: dict[str, Any]


NETS = (
    Net("rnn", "plain RNN", {"cell": "rnn", "num_layers": 1, "bidirectional": False}),
    Net("gru", "GRU", {"cell": "gru", "num_layers": 1, "bidirectional": False}),
    Net("lstm", "LSTM", {"cell": "lstm", "num_layers": 1, "bidirectional": False}),
    Net("bilstm", "BiLSTM, 2 layers", {"cell": "lstm", "num_layers": 2, "bidirectional": True}),
)
BASELINE, BASELINE_TITLE = BAG_OF_WORDS, "bag of words (NB-SVM)"
TITLES = {BASELINE: BASELINE_TITLE, **{net.name: net.title for net in NETS}}

# Options that the user cannot set; patience would make the budgets unequal.
OWN_OPTIONS = (
    "cell", "num_layers", "bidirectional", "patience", "pretrain", "pretrain_epochs",
    "pretrain_window", "unlabelled", "teachers", "vectors", "freeze_vectors", "from_run",
)  # fmt: skip
EVERY_WORD = 2**31 - 1  # more than any vocabulary has
MEASUREMENTS = 12  # validations of a net whose budget is in seconds

EXTRAS = {"sklearn": ("scikit-learn", "sklearn"), "matplotlib": ("matplotlib", "plot")}


class MissingExtra(ImportError):
    """A library of one of fastlstm's extras is missing."""


def check_extras() -> None:
    """Raise MissingExtra if a library is missing, before anything is trained."""
    missing = [EXTRAS[module] for module in EXTRAS if find_spec(module) is None]
    if missing:
        libraries = " and ".join(library for library, _ in missing)
        extras = ",".join(extra for _, extra in missing)
        raise MissingExtra(f"compare needs {libraries}: pip install 'fastlstm[{extras}]'")


def compare(
    load: Load, plan: Plan, folder: ComparisonFolder, *, resume: bool = False, bars: bool = False
) -> list[dict[str, Any]]:
    """Train and test all models that the folder does not hold already; return the results.

    `load` is called with the options and `bars`: whether to show progress bars. An earlier
    comparison in the folder is replaced, unless `resume` is set: then `plan` must be its plan.

    Raises TrainingInterrupted after Ctrl-C, with the finished models and the state of the one in
    training kept; MissingExtra, CheckpointError, OSError, ValueError or FloatingPointError if a
    library is missing, the data or a checkpoint does not fit, a file cannot be read or written, or
    a net diverges.
    """
    check_extras()
    with folder.locked(), num_threads(plan.config.threads or None):
        start = time.perf_counter()
        data = load(plan.config, bars)
        plan = replace(plan, config=replace(plan.config, **data.options))
        load_seconds = time.perf_counter() - start
        mark = data.identity["the reviews"]
        if resume and folder.read()["reviews"] != mark:
            raise ValueError(f"{folder.path} compares on other reviews than the {data.source}")
        if not resume:
            folder.begin(list(TITLES))
            folder.write(plan, mark, [], finished=False)
        _announce(plan, data)
        models: list[dict[str, Any]] = []
        for name, title in TITLES.items():
            part = folder.run(name)
            if not part.finished:
                _train_part(name, load, plan, data, part, load_seconds, bars)
            models.append(folder.result(name, title))
            accuracy, seconds = models[-1]["test_accuracy"], models[-1]["train_seconds"]
            told = f"{title}: test accuracy {accuracy:.2%} after {seconds:.1f} s of training"
            say(told, flush=True)
            folder.write(plan, mark, models, finished=len(models) == len(TITLES))
            draw_comparison(folder.picture, models, data.source)
        say(f"\n{table(models)}\n\n{verdict(models)}")
        return models


def _train_part(
    name: str, load: Load, plan: Plan, data: Dataset, folder: RunFolder, load_seconds: float,
    bars: bool,
) -> None:  # fmt: skip
    """Train the baseline or the net of a name."""
    with folder.locked():
        if name == BASELINE:
            train_baseline(load, plan.config, folder, bars)
        else:
            net = next(net for net in NETS if net.name == name)
            train_net(net, plan, data, folder, load_seconds, bars)


def train_net(
    net: Net, plan: Plan, data: Dataset, folder: RunFolder, load_seconds: float,
    bars: bool = False,
) -> None:  # fmt: skip
    """Train one net, or go on from its checkpoint, and test it once."""
    # against the clock an epoch is a stretch of time
    epochs = MEASUREMENTS if plan.seconds else plan.config.epochs
    config = replace(plan.config, epochs=epochs, **net.options)
    model = build_model(config, len(data.vocab))
    trainer = build_trainer(config, model, data, folder, [Clock(net.title, plan.seconds, bars)])
    trainer.seconds = plan.seconds
    if folder.checkpoint.exists():
        trainer.load(folder.checkpoint)
        folder.write_history(trainer.history)
    else:
        folder.begin(config.to_json())
    write_words(config, data, folder)
    try:
        history = fit(trainer, data, config)
    except FloatingPointError as error:
        raise FloatingPointError(f"{net.title}: {error}") from error
    more = {
        "load_seconds": load_seconds,
        "passes": history.step / count_batches(data.train, config.batch_size),
        "budget_seconds": plan.seconds,
    }
    stretch = f", an epoch is {plan.seconds / epochs:g} s" if plan.seconds else ""
    conclude(config, data, trainer, folder, more, f"{net.title}: {{}}{stretch}")


def train_baseline(load: Load, config: Config, folder: RunFolder, bars: bool = False) -> None:
    """Fit the bag of words to the same reviews, uncut, and test it once."""
    config = replace(config, vocab_size=EVERY_WORD, max_length=0)
    data = load(config, bars)
    assert data.validation is not None  # a comparison needs it
    assert data.test is not None
    folder.begin(config.to_json())
    found = bag_of_words.search(data.train, data.validation)
    metrics = {
        "test_accuracy": found.model.accuracy(found.ngrams.matrix(data.test), data.test.labels),
        "validation_accuracy": found.accuracy,
        "train_seconds": found.seconds,
        "search_seconds": found.search_seconds,
        "words_per_second": len(data.train.tokens) / found.seconds,
        "best_epoch": 1,
        "passes": 1.0,
        "parameters": len(found.ngrams) + 1,
        "penalty": found.model.penalty,
        "beta": found.model.beta,
        "threads": 1,
        "data": data.source,
    }
    folder.finish(metrics)


def _announce(plan: Plan, data: Dataset) -> None:
    trained, held_back, tested = (f"{count:,}" for count in data.sizes.values())
    epochs = count_of(plan.config.epochs, "epoch")
    budget = f"{plan.seconds:g} s of training" if plan.seconds else epochs
    say(f"data: {data.source}")
    if data.notice:
        say(data.notice)
    say(
        f"{trained} reviews to train on, {held_back} to validate on, {tested} to test on; "
        f"{budget} for each net",
        flush=True,
    )
