"""Loss, accuracy and speed, summed over batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.module import Array
from fastlstm.train.record import ADDED


class Errors(NamedTuple):
    """How far the forecasts of a batch are off: how many there are, and sums over them."""

    number: int
    absolute: float
    squared: float


@dataclass
class Running:
    """Sums over the batches seen so far.

    Attributes
    ----------
    loss_sum : sum of the losses of single examples.
    correct, examples, words : counts; words without padding. Of weighted examples `correct` is the
        weight of those that are right.
    seconds : time spent on them.
    classes : whether all labels were classes; else `accuracy` means nothing.
    errors, absolute, squared : of a regression the number of errors, and the sums of their sizes
        and of their squares.
    """

    loss_sum: float = 0.0
    correct: float = 0
    examples: int = 0
    words: int = 0
    seconds: float = 0.0
    classes: bool = field(default=True, metadata=ADDED)
    errors: int = field(default=0, metadata=ADDED)
    absolute: float = field(default=0.0, metadata=ADDED)
    squared: float = field(default=0.0, metadata=ADDED)

    def add(
        self, loss: float, correct: float | None, examples: int, words: int,
        errors: Errors | None = None,
    ) -> None:  # fmt: skip
        """Count a batch of mean loss `loss`; `correct` is None without classes."""
        self.loss_sum += loss * examples
        self.correct += correct or 0
        self.classes = self.classes and correct is not None
        self.examples += examples
        self.words += words
        if errors is not None:
            self.errors += errors.number
            self.absolute += errors.absolute
            self.squared += errors.squared

    @property
    def loss(self) -> float:
        """Mean loss of an example."""
        return self.loss_sum / self.examples if self.examples else 0.0

    @property
    def accuracy(self) -> float:
        """Fraction of examples classified correctly."""
        return self.correct / self.examples if self.examples else 0.0

    @property
    def mae(self) -> float | None:
        """Mean absolute error; None if no errors were counted."""
        return self.absolute / self.errors if self.errors else None

    @property
    def rmse(self) -> float | None:
        """Root of the mean squared error; None if no errors were counted."""
        return math.sqrt(self.squared / self.errors) if self.errors else None

    @property
    def words_per_second(self) -> float:
        """Words per second, without padding; 0 before there is any."""
        return self.words / self.seconds if self.seconds > 0 else 0.0


def perplexity(loss: float) -> float:
    """Return exp of a mean loss in nats: how many tokens the model hesitates between."""
    return math.exp(loss) if loss < 700 else math.inf


def are_classes(logits: Array, labels: NDArray[Any]) -> bool:
    """Whether labels are numbers of the logits' classes: integers, 0 or 1 for logits [N].

    The targets of a regression are not, and its outputs are never right or wrong.
    """
    if labels.dtype.kind not in "iub":
        return False
    return logits.ndim == 2 or bool(np.isin(labels, (0, 1)).all())


def count_correct(logits: Array, labels: NDArray[Any]) -> int:
    """Count the examples whose predicted class is the label.

    Parameters
    ----------
    logits : [N] of a two-class model (positive means class 1), or [N, C].
    labels : [N] class numbers, or probabilities of class 1; above 0.5 means class 1.
    """
    if np.issubdtype(labels.dtype, np.floating):
        labels = labels > 0.5
    return int(np.count_nonzero(predicted(logits) == labels))


def predicted(logits: Array) -> NDArray[Any]:
    """Return the class [N] of logits [N] or [N, C]; of [N] whether it is class 1."""
    return logits.argmax(axis=1) if logits.ndim == 2 else logits > 0
