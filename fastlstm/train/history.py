"""What a training run has behind it: the part of its state that is not arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fastlstm.train.metrics import Running


@dataclass(frozen=True)
class Epoch:
    """One finished epoch; `validation_*` are None where nothing was held back."""

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    words: int
    seconds: float
    validation_seconds: float

    @property
    def score(self) -> tuple[float, float]:
        """Larger is better: validation accuracy, and of equal ones the smaller loss."""
        if self.validation_accuracy is None or self.validation_loss is None:
            return (float(self.epoch), 0.0)  # nothing to choose by: the last epoch counts
        return (self.validation_accuracy, -self.validation_loss)


@dataclass
class History:
    """Where a run stands.

    Attributes
    ----------
    step : optimizer steps made.
    batch : batches done of the current epoch, whose sums are in `running`.
    epochs : the finished epochs.
    best : number of the best epoch, from 1; 0 before the first has finished.
    """

    step: int = 0
    batch: int = 0
    running: Running = field(default_factory=Running)
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0

    @property
    def seconds(self) -> float:
        """Time spent on training, that of the current epoch included."""
        return sum(epoch.seconds for epoch in self.epochs) + self.running.seconds

    def close_epoch(self, lr: float, validation: Running | None) -> bool:
        """Turn the running sums into a finished epoch; return whether it is the best one."""
        self.epochs.append(
            Epoch(
                epoch=len(self.epochs) + 1,
                step=self.step,
                lr=lr,
                train_loss=self.running.loss,
                train_accuracy=self.running.accuracy,
                validation_loss=validation.loss if validation else None,
                validation_accuracy=validation.accuracy if validation else None,
                words=self.running.words,
                seconds=self.running.seconds,
                validation_seconds=validation.seconds if validation else 0.0,
            )
        )
        self.batch, self.running = 0, Running()
        newest = self.epochs[-1]
        if self.best == 0 or newest.score > self.epochs[self.best - 1].score:
            self.best = newest.epoch
        return self.best == newest.epoch

    def to_json(self) -> dict[str, Any]:
        """As plain dicts and lists; floats survive exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> History:
        """Inverse of `to_json`."""
        return cls(
            step=value["step"],
            batch=value["batch"],
            running=Running(**value["running"]),
            epochs=[Epoch(**epoch) for epoch in value["epochs"]],
            best=value["best"],
        )
