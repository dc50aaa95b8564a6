"""A task of one's own is a few lines: forecasting a series of numbers, the state carried along.

The trainer does the rest: epochs, averaging, the best epoch, Ctrl-C and resuming.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ctrl_c import PressCtrlC

import fastlstm as fl
from fastlstm.train import Adam, Average, Outcome, Task, Trainer, TrainingInterrupted
from fastlstm.train.tasks.task import Source

STEPS = 8


class Stretch(NamedTuple):
    """Some steps of a series: numbers [T,1,1] and what follows each."""

    x: Any
    y: Any


class Forecaster(fl.Module):
    """An LSTM and what it says of the next number."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.lstm = fl.LSTM(1, 6, dtype="float64", rng=rng)
        self.head = fl.Linear(6, 1, dtype="float64", rng=rng)


class Forecasting(Task):
    """Learns to predict the next number of a series by the mean squared error."""

    batches = "stretches"

    def source(self, model: Any, train: Any, validation: Any = None) -> Source:
        parts = [
            [
                Stretch(x[k : k + STEPS], x[k + 1 : k + 1 + STEPS])
                for k in range(0, len(x) - 1, STEPS)
            ]
            for x in (train[:, None, None], validation[:, None, None])
        ]
        return Source(lambda epoch, start: parts[0][start:], len(parts[0]), lambda: parts[1])

    def step(self, model: Any, batch: Any, state: Any, rng: np.random.Generator) -> Outcome:
        h, state, layer = model.lstm.forward(batch.x[: len(batch.y)], state)
        y, head = model.head.forward(h)
        off = y - batch.y
        model.lstm.backward(layer, model.head.backward(head, 2 * off / off.size))
        return Outcome(float(np.mean(off**2)), off.size, off.size, state=state)

    def measure(self, model: Any, batch: Any, state: Any) -> Outcome:
        h, state = model.lstm(batch.x[: len(batch.y)], state)
        off = model.head(h) - batch.y
        return Outcome(float(np.mean(off**2)), off.size, off.size, state=state)


def trainer(**options: Any) -> Trainer:
    model = Forecaster()
    average = Average(model, 0.5)
    return Trainer(model, Adam(model, 0.03), Forecasting(), epochs=6, average=average, **options)


def fit(one: Trainer) -> Trainer:
    series = np.sin(0.4 * np.arange(120))
    one.fit(*one.task.source(one.model, series[:90], series[90:]))
    return one


def test_it_learns_and_keeps_the_epoch_of_least_loss() -> None:
    epochs = fit(trainer()).history.epochs
    losses = [epoch.validation_loss or 0.0 for epoch in epochs]
    assert min(losses) < 0.3 * losses[0]
    assert all(epoch.train_accuracy is epoch.validation_accuracy is None for epoch in epochs)
    assert fit(trainer()).history.best == 1 + int(np.argmin(losses))


@pytest.mark.parametrize("at", [3, 12, 30])
def test_it_is_broken_off_and_resumed(at: int, tmp_path: Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(TrainingInterrupted, match=r"\d stretches; its state is in"):
        fit(trainer(checkpoint=path, listeners=[PressCtrlC(at)]))
    resumed = trainer()
    resumed.load(path)
    whole, ours = (fit(one).best_weights for one in (trainer(), resumed))
    assert all(np.array_equal(whole[name], ours[name]) for name in whole)
