"""The linear part of a run: before the net, joined to it, or alone."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastlstm.distributed.launch import current
from fastlstm.models import TextClassifier
from fastlstm.models.joined import Join
from fastlstm.printable import say
from fastlstm.runtime import get_num_threads, num_threads
from fastlstm.text import Encoded
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.linear_part import LabelledRows, LinearPart
from fastlstm.train.classifier.parts import Parts
from fastlstm.train.classifier.predict import log_probabilities, predict_logits
from fastlstm.train.metrics import count_correct
from fastlstm.train.scoring.scores import score
from fastlstm.train.seeds import LINEAR, generator


def train_linear(config: Config, data: Dataset) -> LinearPart:
    """Train a linear part on the training texts, and tell how good that is.

    Of several processes the first one does it, on the cores of those beside it, which wait.
    """
    assert data.whole is not None
    whole = data.whole
    labels = np.zeros(len(whole.rows), np.int64)
    labels[whole.train] = data.train.labels
    if data.validation is not None:
        labels[whole.validation] = data.validation.labels
    rows = LabelledRows(whole.rows, labels, whole.train, whole.validation)
    seed = int(generator(config.seed, LINEAR).integers(2**31))
    processes = current()
    threads = None if config.threads else get_num_threads() * processes.sharing
    with num_threads(threads):
        part = LinearPart.shared(processes, rows, max(2, data.num_outputs), seed)
    say(part.told, flush=True)
    return part


def join_parts(
    net: TextClassifier, part: LinearPart, data: Dataset
) -> tuple[Parts, dict[str, Any]]:
    """Join a trained net and a linear part, as `models.joined` says; return metrics with it.

    The linear part is then that of all texts, of the validation part as well; the join stays.
    """
    start, metrics, told = time.perf_counter(), dict[str, Any](), ""
    said = predict_logits(net, heard_texts(part, data))
    join = part.join(said)
    if data.validation is not None:
        joined = score(log_probabilities(join.logits(said, part.logits)), part.labels)
        metrics = {"validation_accuracy": joined.accuracy, "validation_loss": joined.loss}
        metrics["net_validation_accuracy"] = count_correct(said, part.labels) / len(said)
        told = f", {joined.accuracy:.2%} of validation"
    metrics["join_seconds"] = time.perf_counter() - start
    say(f"joined: net {join.net_share:.2f}, linear {1 - join.net_share:.2f}{told}", flush=True)
    return Parts(net, part.everything, join), {**metrics, **_metrics_of(part, join, data)}


def heard_texts(part: LinearPart, data: Dataset) -> Encoded:
    """Return the texts of which a join with a linear part wants to hear the net."""
    return data.validation if data.validation is not None else data.train.select(part.heard())


def linear_alone(part: LinearPart, data: Dataset) -> tuple[Parts, dict[str, Any]]:
    """Return the linear part alone, that of the validation part as well, and metrics."""
    join = Join(0.0, part.calibration, 0.0)
    metrics: dict[str, Any] = {"validation_accuracy": None, "validation_loss": None}
    if data.validation is not None:
        found = score(log_probabilities(join.linear * part.logits), part.labels)
        metrics = {"validation_accuracy": found.accuracy, "validation_loss": found.loss}
    return Parts(None, part.everything, join), {**metrics, **_metrics_of(part, join, data)}


def _metrics_of(part: LinearPart, join: Join, data: Dataset) -> dict[str, Any]:
    """Return what metrics tell of a linear part and its join."""
    accuracy = None
    if data.validation is not None:
        accuracy = count_correct(part.logits, part.labels) / len(part.labels)
    return {
        "linear_validation_accuracy": accuracy,
        "linear_seconds": part.seconds,
        "linear_C": part.C,
        "join_net": join.net,
        "join_linear": join.linear,
        "net_share": join.net_share,
    }
