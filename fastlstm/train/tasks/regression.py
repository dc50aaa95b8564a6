"""Learning numbers: rows of a series each with its targets, and how far forecasts are off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.check import check_size
from fastlstm.nn.module import Array
from fastlstm.nn.regression_losses import huber_loss, l1_loss, mse_loss, quantile_loss
from fastlstm.train.metrics import Errors
from fastlstm.train.row_batches import Rows, row_batches
from fastlstm.train.tasks.supervised import Batch, Loss, Supervised, unwrapped
from fastlstm.train.tasks.task import Outcome, Source, shuffled

LOSSES = (mse_loss, l1_loss, huber_loss, quantile_loss)


class Regression(Supervised):
    """Makes the loss of numbers small. The best epoch is that of least validation loss.

    Mean absolute error (MAE) and root of the mean squared error (RMSE) are counted beside it.
    Targets that are NaN are an error of the loss, or with its ``missing="skip"`` count nowhere.
    Where batches have `weights` [N] they are the loss's ``sample_weight``; errors have none.

    Parameters
    ----------
    loss : ``loss(outputs, labels) -> (mean loss, gradient of the outputs)``.
    point : ``point(outputs)`` returns a forecast like the labels, to be compared with them; None:
        the outputs themselves. Where it is not of the labels' shape no errors are counted.
    batch_size, seed : of the batches that `source` makes.
    """

    def __init__(
        self, loss: Loss = mse_loss, point: Callable[[Array], Array] | None = None, *,
        batch_size: int = 32, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(loss)
        self.point = point
        self.batch_size = check_size("batch_size", batch_size)
        self.seed = check_size("seed", seed, least=0)

    def source(self, model: Any, train: Any, validation: Any = None) -> Source:
        """Return the batches of arrays, for ``Trainer.fit(*source)``.

        Parameters
        ----------
        train : ``(x, targets)``, ``(x, targets, lengths)`` or ``(x, targets, lengths, future)``,
            lengths or None: arrays with a row for each example, which are cut into batches in an
            order that depends on the seed and the epoch only.
        validation : the same, to measure on; None for none.

        Raises
        ------
        TypeError, ValueError
            If these are no such arrays, or not of equally many rows.
        """
        held_back = None if validation is None else Rows.of("validation", validation)
        return shuffled(row_batches, Rows.of("train", train), self.batch_size, self.seed, held_back)

    def forward(self, model: Any, batch: Batch, rng: np.random.Generator) -> tuple[Array, Any]:
        """Run a batch to train; a model with `feedback` is told the true targets."""
        taught = {"targets": batch.labels} if getattr(model, "feedback", False) else {}
        outputs, tape = model.forward(*batch.inputs, rng=rng, **taught)
        return outputs, tape

    def compared(self, outputs: Array, batch: Batch) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient, of rows that count as they weigh."""
        weights = getattr(batch, "weights", None)
        if weights is None:
            return self.loss(outputs, batch.labels)
        labels: Array = np.asarray(batch.labels)
        of_each = np.broadcast_to(weights.reshape(-1, *[1] * (labels.ndim - 1)), labels.shape)
        loss: Any = self.loss
        found: tuple[float, Array] = loss(outputs, labels, sample_weight=of_each)
        return found

    def outcome(self, loss: float, outputs: Array, batch: Batch, correct: int | None) -> Outcome:
        """Return the outcome of a batch; each target that is there is an example."""
        labels = np.asarray(batch.labels)
        there = ~np.isnan(labels)
        count = int(np.count_nonzero(there))
        errors = self._errors(outputs, labels, there)
        return Outcome(loss, count, batch.words, outputs=outputs, errors=errors)

    def examples(self, batch: Batch) -> NDArray[Any]:
        labels = np.asarray(batch.labels)
        counts: NDArray[Any] = (~np.isnan(labels)).reshape(len(labels), -1).sum(axis=1)
        return counts

    def score(self, epoch: Any) -> tuple[float, ...]:
        """Return the rank of an epoch: the smaller its validation loss, the better."""
        rank: tuple[float, ...] = epoch.smallness
        return rank

    def identity(self, trainer: Any) -> dict[str, object]:
        """Return what makes the batches of `source`."""
        return {"batch_size": self.batch_size, "order": self.seed}

    def _errors(
        self, outputs: Array, labels: NDArray[Any], there: NDArray[np.bool_]
    ) -> Errors | None:
        forecast = self.point(outputs) if self.point else outputs
        if forecast.shape != labels.shape:
            return None
        off = np.abs(forecast[there].astype(np.float64) - labels[there])
        with np.errstate(over="ignore"):
            return Errors(len(off), float(off.sum()), float((off**2).sum()))


def is_regression(loss: Any) -> bool:
    """Whether this is one of the losses of regressions."""
    return unwrapped(loss) in LOSSES
