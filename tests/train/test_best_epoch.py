"""Which epoch is the best one: of classes the most accurate, else that of the least loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.nn import bce_with_logits
from fastlstm.train import SGD, Supervised, Trainer
from fastlstm.train.metrics import are_classes


@dataclass
class Rows:
    """A batch for a model of numbers."""

    x: Any
    labels: Any

    @property
    def inputs(self) -> tuple[Any, ...]:
        return (self.x,)

    @property
    def words(self) -> int:
        return len(self.labels)


class Line(fl.Module):
    """One output, [N]."""

    def __init__(self) -> None:
        self.head = fl.Linear(1, 1, dtype="float64", rng=np.random.default_rng(0))
        self.head.weight.data[...] = 0

    def __call__(self, x: Any) -> Any:
        return self.head(x)[:, 0]

    def forward(self, x: Any, rng: Any) -> tuple[Any, Any]:
        y, tape = self.head.forward(x)
        return y[:, 0], tape

    def backward(self, tape: Any, dlogits: Any) -> None:
        self.head.backward(tape, dlogits[:, None])


def squared(logits: Any, targets: Any) -> tuple[float, Any]:
    off = logits - targets
    return float(np.mean(off**2)), 2 * off / len(off)


def fitted(targets: Any, loss: Any, lr: float, **options: Any) -> Trainer:
    """Train on the rows and validate on the same; too large a rate lets the loss grow again."""
    rows = Rows(np.linspace(-1, 1, len(targets))[:, None], np.asarray(targets))

    def batches(epoch: int, start: int) -> Iterator[Rows]:
        yield from [rows][start:]

    model = Line()
    trainer = Trainer(model, SGD(model, lr), loss, epochs=6, **options)
    trainer.fit(batches, 1, lambda: iter([rows]))
    return trainer


@pytest.mark.parametrize("kind", [np.float64, np.int64])
def test_a_regression_keeps_the_epoch_of_least_loss(kind: Any) -> None:
    targets = (np.linspace(-1, 1, 12) * 40 + 10).astype(kind)
    trainer = fitted(targets, squared, lr=1.05)
    epochs = trainer.history.epochs
    losses = [epoch.validation_loss for epoch in epochs]
    assert all(epoch.validation_accuracy is None for epoch in epochs)
    assert trainer.history.best == int(np.argmin(losses)) + 1 == 1  # it grows from the start
    kept, _ = squared(trainer.model(np.linspace(-1, 1, 12)[:, None]), targets)
    assert kept == min(losses)


def test_classes_keep_the_most_accurate_epoch_unless_told_otherwise() -> None:
    labels = np.array([0, 1, 0, 1, 1, 1])
    trainer = fitted(labels, bce_with_logits, lr=1.0)
    scores = [(e.validation_accuracy, -e.validation_loss) for e in trainer.history.epochs]
    assert trainer.history.best == scores.index(max(scores)) + 1
    by_loss = fitted(labels, Supervised(bce_with_logits), lr=1.0)
    assert all(epoch.validation_accuracy is None for epoch in by_loss.history.epochs)
    losses = [epoch.validation_loss for epoch in by_loss.history.epochs]
    assert by_loss.history.best == int(np.argmin(losses)) + 1


@pytest.mark.parametrize(
    ("shape", "labels", "expected"),
    [
        ((3,), [0, 1, 1], True),
        ((3,), [True, False, True], True),
        ((0,), np.empty(0, np.int64), True),
        ((3,), [0, 1, 2], False),
        ((3,), [-1, 1, 0], False),
        ((3,), [0.0, 1.0, 1.0], False),
        ((3, 4), [0, 3, 2], True),
        ((3, 4), [0.0, 3.0, 2.0], False),
    ],
)
def test_what_are_classes(shape: tuple[int, ...], labels: Any, expected: bool) -> None:
    assert are_classes(np.zeros(shape), np.asarray(labels)) is expected


def test_progress_of_a_regression_has_no_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    from fastlstm.train.progress import Progress

    fitted(np.linspace(-3, 3, 8), squared, lr=0.1, listeners=[Progress(bar=False)])
    assert "validation loss" in (line := capsys.readouterr().out.splitlines()[-1])
    assert "accuracy" not in line.partition("validation")[2]
