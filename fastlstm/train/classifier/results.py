"""What ``metrics.json`` tells of a run."""

from __future__ import annotations

import time
from typing import Any

from fastlstm._version import __version__
from fastlstm.distributed.launch import current
from fastlstm.runtime import runtime_info
from fastlstm.text import batches
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.parts import Parts
from fastlstm.train.classifier.predict import EVALUATION_BATCH, LogitRows, log_probabilities
from fastlstm.train.classifier.training import loss_of
from fastlstm.train.evaluate import as_task, evaluate
from fastlstm.train.history import History
from fastlstm.train.metrics import count_correct
from fastlstm.train.parallel import merged, own_batches
from fastlstm.train.scoring.scores import score


def measure(parts: Parts, data: Dataset) -> dict[str, Any]:
    """Return loss and accuracy on the test texts, and other scores if the classes have names.

    "eval_seconds" are those it took.
    """
    if data.test is None:
        nothing = {"test_accuracy": None, "test_loss": None, "eval_seconds": 0.0}
        return {**nothing, "labels": list(data.labels)}
    start, labels = time.perf_counter(), data.test.labels
    said, found = None, dict[str, Any]()
    if parts.net is not None:
        rows = LogitRows(len(data.test))
        loss = loss_of(data.num_outputs)
        read, processes = batches(data.test, EVALUATION_BATCH), current()
        own = own_batches(as_task(loss), read, processes)
        tested = merged(processes, evaluate(parts.net, own, loss, on_batch=rows.add))
        said = rows.gathered(processes)
        found = {"test_accuracy": tested.accuracy, "test_loss": tested.loss}
    if parts.linear is not None:
        assert data.whole is not None
        linear = parts.linear.logits(data.whole.of("test"))
        if parts.net is not None:
            found = {"net_test_accuracy": tested.accuracy}
            found["linear_test_accuracy"] = count_correct(linear, labels) / len(labels)
        said = parts.joined(said, linear)
        scores = score(log_probabilities(said), labels)
        found |= {"test_accuracy": scores.accuracy, "test_loss": scores.loss}
    found["eval_seconds"] = time.perf_counter() - start
    if data.labels:
        assert said is not None
        scores = score(log_probabilities(said), labels)
        found |= {
            "labels": list(data.labels),
            "test_macro_f1": scores.macro_f1,
            "test_f1": dict(zip(data.labels, scores.f1, strict=True)),
            "test_calibration_error": scores.calibration.error,
        }
    return found


def of_training(history: History) -> dict[str, Any]:
    """Return what ``metrics.json`` tells of the training of a net."""
    best = history.epochs[history.best - 1]
    seconds = [epoch.seconds for epoch in history.epochs]
    words = sum(epoch.words for epoch in history.epochs)
    return {
        "validation_accuracy": best.validation_accuracy,
        "validation_loss": best.validation_loss,
        "best_epoch": history.best,
        "epochs": len(history.epochs),
        "epoch_seconds": seconds,
        "train_seconds": sum(seconds),
        "eval_seconds": sum(e.validation_seconds for e in history.epochs),
        "words_per_second": words / sum(seconds),
    }


def about(config: Config, data: Dataset, parts: Parts) -> dict[str, Any]:
    """Return what ``metrics.json`` tells of the machine, the model and the data."""
    runtime = runtime_info()
    return {
        **{name: runtime[name] for name in ("threads", "isa", "backend")},
        **({"processes": current().size} if current().size > 1 else {}),
        "precision": config.precision,
        "parameters": parts.size,
        "data": data.source,
        "data_complete": data.complete,
        **{f"{part}_{data.noun}": count for part, count in data.sizes.items()},
        "seed": config.seed,
        "version": __version__,
    }
