"""Training against the clock: so many seconds, whatever number of steps that is."""

from __future__ import annotations

import itertools
import math
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toy import SEED, Problem

from fastlstm.text import Batch, batches
from fastlstm.train import CheckpointError, History, Listener, Trainer, TrainingInterrupted


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of which each reading is a second after the last: a step takes a second."""
    ticks = itertools.count()
    fake = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr("fastlstm.train.trainer.time", fake)


class Steps(Listener):
    """Notes the learning rate of each step, and can press Ctrl-C after one."""

    def __init__(self, interrupt_at: int = -1) -> None:
        self.rates: list[float] = []
        self.interrupt_at = interrupt_at
        self.trainer: Trainer | None = None

    def on_step(self, history: History) -> None:
        assert self.trainer is not None
        self.rates.append(self.trainer.optimizer.lr)
        if history.step == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)


def timed(seconds: float, epochs: int, **options: Any) -> tuple[Trainer, Steps]:
    steps = Steps(options.pop("interrupt_at", -1))
    trainer = Problem().trainer(epochs=epochs, seconds=seconds, listeners=[steps], **options)
    steps.trainer = trainer
    return trainer, steps


def test_it_ends_with_the_seconds_and_validates_in_equal_stretches() -> None:
    trainer, _ = timed(20.0, 4)
    history = Problem().fit(trainer).history
    assert [epoch.step for epoch in history.epochs] == [5, 10, 15, 20]
    assert [epoch.seconds for epoch in history.epochs] == [5.0] * 4
    assert history.seconds == 20.0
    assert all(epoch.validation_accuracy is not None for epoch in history.epochs)


def test_the_schedule_follows_the_seconds() -> None:
    trainer, steps = timed(10.0, 2)
    Problem().fit(trainer)
    assert steps.rates == pytest.approx([0.02 * (1 - second / 10) for second in range(10)])


def test_passes_over_the_data_follow_each_other_across_stretches() -> None:
    problem, seen = Problem(), []

    def transform(batch: Batch, rng: Any) -> Batch:
        seen.append(batch.index.tolist())
        return batch

    steps = 2 * problem.steps + 3
    trainer, _ = timed(float(steps), 1, transform=transform)
    problem.fit(trainer)
    passes = (batches(problem.train, 16, seed=SEED, epoch=epoch) for epoch in range(3))
    expected = [b.index.tolist() for b in itertools.islice(itertools.chain(*passes), steps)]
    assert seen[:steps] == expected  # those after it were made ahead, and not used


def test_a_budget_below_a_step_still_makes_one_for_each_validation() -> None:
    trainer, _ = timed(0.1, 3)
    assert Problem().fit(trainer).history.step == 3


@pytest.mark.parametrize("at", [1, 4, 5, 17])
def test_a_resumed_run_has_the_rest_of_its_seconds(at: int, tmp_path: Path) -> None:
    path = tmp_path / "state"
    whole = Problem().fit(timed(20.0, 4)[0])
    broken, _ = timed(20.0, 4, checkpoint=path, interrupt_at=at)
    with pytest.raises(TrainingInterrupted):
        Problem().fit(broken)
    resumed, _ = timed(20.0, 4, checkpoint=path)
    resumed.load(path)
    assert resumed.history.seconds == at
    Problem().fit(resumed)
    # a stretch that was over when it was broken off is one step longer
    over = at % 5 == 0
    assert [e.step for e in resumed.history.epochs] == (
        [6, 10, 15, 20] if over else [5, 10, 15, 20]
    )
    if not over:
        losses = [[e.train_loss for e in t.history.epochs] for t in (whole, resumed)]
        assert losses[0] == losses[1]


def test_another_number_of_seconds_is_another_run(tmp_path: Path) -> None:
    path = tmp_path / "state"
    Problem().fit(timed(4.0, 2, checkpoint=path)[0])
    for seconds in (0.0, 5.0):
        with pytest.raises(CheckpointError, match="another run: seconds differ"):
            timed(seconds, 2)[0].load(path)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_bad_seconds_are_named(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"seconds is {seconds}"):
        Problem().trainer(seconds=seconds)
