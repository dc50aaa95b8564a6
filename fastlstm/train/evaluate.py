"""Measures a model on data without training it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from fastlstm.train.metrics import Running
from fastlstm.train.prefetch import prefetch
from fastlstm.train.tasks.supervised import Classification, Loss
from fastlstm.train.tasks.task import Task


def evaluate(
    model: Any, batches: Iterable[Any], task: Task | Loss,
    on_batch: Callable[[Any, Any], None] | None = None,
) -> Running:  # fmt: skip
    """Return loss, accuracy, words and seconds of `model` over `batches`.

    Parameters
    ----------
    model : what the task calls; for a loss, ``model(*batch.inputs)`` returns logits [M] or [M, C].
    batches : any iterable; it runs in a background thread.
    task : a `Task`, or a loss function, which stands for its `Classification`.
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
        total.add(outcome.loss, outcome.correct, outcome.examples, outcome.words)
    total.seconds = time.perf_counter() - start
    return total


def as_task(task: Task | Loss) -> Task:
    """Return a task; for a loss its `Classification`."""
    return task if isinstance(task, Task) else Classification(task)
