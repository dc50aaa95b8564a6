"""What a training run has done so far: the part of its state that is not arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from fastlstm.train.earlier import of_this_version
from fastlstm.train.metrics import Running
from fastlstm.train.record import ADDED, record
from fastlstm.train.tasks.task import Outcome

POINTS = 20  # of the loss curve in a pass over the data


@dataclass(frozen=True)
class Epoch:
    """A finished epoch.

    Attributes
    ----------
    epoch : its number, from 1.
    step : optimizer steps made up to its end.
    lr : learning rate of its last step.
    train_loss, validation_loss : mean losses of an example; the latter None without validation.
    train_accuracy, validation_accuracy : of the examples; None without classes.
    words : those trained on, without padding.
    seconds, validation_seconds : what training and validation took.
    train_mae, validation_mae : mean absolute errors; None without a regression.
    train_rmse, validation_rmse : roots of mean squared errors; likewise.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    words: int
    seconds: float
    validation_seconds: float
    train_mae: float | None = field(default=None, metadata=ADDED)
    train_rmse: float | None = field(default=None, metadata=ADDED)
    validation_mae: float | None = field(default=None, metadata=ADDED)
    validation_rmse: float | None = field(default=None, metadata=ADDED)

    @property
    def score(self) -> tuple[float, float]:
        """Rank of the epoch, the larger the better: validation accuracy, then the smaller loss.

        Without classes only the loss counts, without validation the later epoch.
        """
        if self.validation_loss is None:
            return (float(self.epoch), 0.0)  # without validation the last epoch is best
        if self.validation_accuracy is None:
            return (-self.validation_loss, 0.0)
        return (self.validation_accuracy, -self.validation_loss)

    @property
    def smallness(self) -> tuple[float]:
        """Rank of the epoch by validation loss alone; without validation the later one is best."""
        return (float(self.epoch) if self.validation_loss is None else -self.validation_loss,)


def by_score(epoch: Epoch) -> tuple[float, ...]:
    """Return the rank of an epoch whose task has no other rule."""
    return epoch.score


@dataclass
class History:
    """Where a run stands.

    Attributes
    ----------
    step : optimizer steps made.
    batch : batches done of the current epoch; `running` has their sums.
    epochs : the finished epochs.
    best : number of the best epoch, from 1; 0 before the first has finished.
    curve : points of the training loss: (passes over the data, mean loss since the last point).
    recent : sum and number of the losses since the last point.
    steps_per_epoch : batches in a pass over the data; 0 before the first.
    """

    step: int = 0
    batch: int = 0
    running: Running = field(default_factory=Running)
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    curve: list[tuple[float, float]] = field(default_factory=list, metadata=ADDED)
    recent: tuple[float, int] = field(default=(0.0, 0), metadata=ADDED)
    steps_per_epoch: int = field(default=0, metadata=ADDED)

    @property
    def seconds(self) -> float:
        """Time spent on training, including the current epoch."""
        return sum(epoch.seconds for epoch in self.epochs) + self.running.seconds

    def add(self, outcome: Outcome, steps_per_epoch: int) -> None:
        """Count a step."""
        loss, examples = outcome.loss, outcome.examples
        self.step += 1
        self.batch += 1
        self.running.add(loss, outcome.correct, examples, outcome.words, outcome.errors)
        self.recent = (self.recent[0] + loss * examples, self.recent[1] + examples)
        due = self.step * POINTS // steps_per_epoch > (self.step - 1) * POINTS // steps_per_epoch
        if due and self.recent[1]:
            self.curve.append((self.step / steps_per_epoch, self.recent[0] / self.recent[1]))
            self.recent = (0.0, 0)

    def close_epoch(
        self, lr: float, validation: Running | None,
        rank: Callable[[Epoch], tuple[float, ...]] = by_score,
    ) -> bool:  # fmt: skip
        """Turn the running sums into a finished epoch; return whether it is the best one.

        `rank` says which of two is better, see `Task.score`.
        """
        self.epochs.append(
            Epoch(
                epoch=len(self.epochs) + 1,
                step=self.step,
                lr=lr,
                train_loss=self.running.loss,
                train_accuracy=self.running.accuracy if self.running.classes else None,
                validation_loss=validation.loss if validation else None,
                validation_accuracy=(
                    validation.accuracy if validation and validation.classes else None
                ),
                words=self.running.words,
                seconds=self.running.seconds,
                validation_seconds=validation.seconds if validation else 0.0,
                train_mae=self.running.mae,
                train_rmse=self.running.rmse,
                validation_mae=validation.mae if validation else None,
                validation_rmse=validation.rmse if validation else None,
            )
        )
        self.batch, self.running = 0, Running()
        newest = self.epochs[-1]
        if self.best == 0 or rank(newest) > rank(self.epochs[self.best - 1]):
            self.best = newest.epoch
        return self.best == newest.epoch

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists; floats survive exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> History:
        """Invert `to_json`; ValueError if a type is wrong or the numbers do not fit each other."""
        history = record(cls, of_this_version(value))
        epochs, best = history.epochs, history.best
        if [epoch.epoch for epoch in epochs] != list(range(1, len(epochs) + 1)):
            raise ValueError(f"the epochs are not numbered from 1 to {len(epochs)}")
        if not min(1, len(epochs)) <= best <= len(epochs):
            raise ValueError(f"the best epoch is {best} of {len(epochs)}")
        if history.step - history.batch != (epochs[-1].step if epochs else 0):
            raise ValueError("its steps are not those of its epochs")
        return history
