"""What the training of a language model has behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fastlstm.train.history import check_epochs
from fastlstm.train.record import fields_of, record


def perplexity(loss: float) -> float:
    """Return exp of a mean loss in nats: among how many tokens the model is in doubt."""
    return math.exp(loss) if loss < 700 else math.inf


@dataclass(frozen=True)
class LanguageEpoch:
    """One finished epoch; losses are means over tokens, in nats.

    `validation_loss` is None where nothing was held back.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    validation_loss: float | None
    tokens: int
    seconds: float
    validation_seconds: float


@dataclass
class LanguageHistory:
    """Where a run stands.

    Attributes
    ----------
    step : optimizer steps made.
    window : windows done of the current epoch, whose sums are in the next three.
    loss_sum, tokens, seconds : of single tokens' losses, their number, the time spent.
    curve : points (epochs done, mean loss since the point before) of the training loss.
    epochs : the finished epochs.
    best : number of the epoch of the least validation loss (without validation of the last),
        from 1; 0 before the first has finished.
    """

    step: int = 0
    window: int = 0
    loss_sum: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    curve: list[tuple[float, float]] = field(default_factory=list)
    epochs: list[LanguageEpoch] = field(default_factory=list)
    best: int = 0
    recent: tuple[float, int] = (0.0, 0)  # loss and tokens since the last point of the curve

    @property
    def loss(self) -> float:
        """Mean loss of the current epoch so far."""
        return self.loss_sum / self.tokens if self.tokens else 0.0

    def add(self, loss: float, tokens: int) -> None:
        """Count a window of `tokens` whose mean loss is `loss`."""
        self.step += 1
        self.window += 1
        self.loss_sum += loss * tokens
        self.tokens += tokens
        self.recent = (self.recent[0] + loss * tokens, self.recent[1] + tokens)

    def mark(self, position: float) -> None:
        """Add a point to the curve, at so many epochs done."""
        if self.recent[1]:
            self.curve.append((position, self.recent[0] / self.recent[1]))
        self.recent = (0.0, 0)

    def close_epoch(self, lr: float, validation: float | None, seconds: float) -> bool:
        """Turn the sums into a finished epoch; return whether it is the best one."""
        number = len(self.epochs) + 1
        self.epochs.append(
            LanguageEpoch(
                number, self.step, lr, self.loss, validation, self.tokens, self.seconds, seconds
            )
        )
        self.window, self.loss_sum, self.tokens, self.seconds = 0, 0.0, 0, 0.0
        best = self.epochs[self.best - 1].validation_loss if self.best else None
        if validation is None or best is None or validation < best:
            self.best = number
        return self.best == number

    def to_json(self) -> dict[str, Any]:
        """As plain dicts and lists; floats survive exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LanguageHistory:
        """Inverse of `to_json`.

        Raises
        ------
        ValueError
            If something is not of its type, or the numbers do not fit each other.
        """
        known = fields_of(cls, value, skip=("epochs",))
        if not isinstance(known["epochs"], list):
            raise ValueError(f"epochs is {known['epochs']!r:.60}, expected a list")
        known["epochs"] = [record(LanguageEpoch, epoch) for epoch in known["epochs"]]
        known["curve"] = [(point[0], point[1]) for point in known["curve"]]
        known["recent"] = (known["recent"][0], known["recent"][1])
        history = cls(**known)
        check_epochs(history.epochs, history.best, history.step - history.window)
        return history
