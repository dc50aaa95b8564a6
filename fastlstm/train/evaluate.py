"""Measures a model on data without training it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from fastlstm.models import HorizonDecoder, SequenceRegressor, SequenceTagger
from fastlstm.train.metrics import Running
from fastlstm.train.prefetch import prefetch
from fastlstm.train.tasks.regression import Regression, is_regression
from fastlstm.train.tasks.supervised import Classification, Loss, unwrapped
from fastlstm.train.tasks.tagging import Tagging
from fastlstm.train.tasks.task import Task


def evaluate(
    model: Any, batches: Iterable[Any], task: Task | Loss,
    on_batch: Callable[[Any, Any], None] | None = None,
) -> Running:  # fmt: skip
    """Return loss, accuracy (or errors), words and seconds of `model` over `batches`.

    Parameters
    ----------
    model : what the task calls; for a loss, ``model(*batch.inputs)`` returns logits [M] or [M, C].
    batches : any iterable; it runs in a background thread.
    task : a `Task`, or a loss function, see `as_task`.
    on_batch : called with each batch and the model's outputs for it.
    """
    task = as_task(task)
    total, state = Running(), None
    start = time.perf_counter()
    for batch in prefetch(batches):
        outcome = task.measure(model, batch, state)
        state = outcome.state
        if on_batch is not None:
            on_batch(batch, outcome.outputs)
        total.add(outcome.loss, outcome.correct, outcome.examples, outcome.words, outcome.errors)
    total.seconds = time.perf_counter() - start
    return total


def as_task(task: Task | Loss) -> Task:
    """Return a task; for a loss of regressions its `Regression`, else its `Classification`.

    The `loss` of a model of numbers is one too, and the model's `point` says what it forecasts;
    that of a tagger stands for `Tagging`.
    """
    if isinstance(task, Task):
        return task
    model = getattr(unwrapped(task), "__self__", None)
    if isinstance(model, (SequenceRegressor, HorizonDecoder)):
        return Regression(task, model.point)
    if isinstance(model, SequenceTagger):
        return Tagging()
    return Regression(task) if is_regression(task) else Classification(task)
