"""Learning to label each step of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.models import SequenceTagger
from fastlstm.nn.check import check_size, first_not_finite
from fastlstm.nn.module import Array
from fastlstm.train.row_batches import Rows, row_batches
from fastlstm.train.tasks.task import Outcome, Source, Task, learn, shuffled


class Tagging(Task):
    """Makes the loss of a `SequenceTagger` small, with its CRF or without.

    An example is a step: the loss is the mean over them, accuracy the share whose label is right.
    The best epoch is the most accurate; of equal ones that of least loss.

    Parameters
    ----------
    batch_size, seed : of the batches that `source` makes.
    """

    def __init__(self, *, batch_size: int = 32, seed: int = 0) -> None:
        self.batch_size = check_size("batch_size", batch_size)
        self.seed = check_size("seed", seed, least=0)

    def source(self, model: Any, train: Any, validation: Any = None) -> Source:
        """Return the batches of arrays, for ``Trainer.fit(*source)``.

        Parameters
        ----------
        train : ``(x, labels)`` or ``(x, labels, lengths)``: tokens [N,T] or numbers [N,T,I],
            labels [N,T], and the real steps [N] of each row. They are cut into batches in an order
            that depends on the seed and the epoch only; rows without a step are left out.
        validation : the same, to measure on; None for none.

        Raises
        ------
        TypeError, ValueError
            If these are no such arrays, not of equally many rows, or not finite.
        """
        held_back = None if validation is None else _with_steps("validation", validation)
        learned = _with_steps("train", train)
        return shuffled(row_batches, learned, self.batch_size, self.seed, held_back)

    def step(
        self, model: SequenceTagger, batch: Rows, state: Any, rng: np.random.Generator
    ) -> Outcome:
        scores, tape = model.forward(batch.x, batch.lengths, rng)
        loss, dscores = model.loss(scores, batch.labels, batch.lengths)
        assert dscores is not None
        learn(model, tape, dscores)
        return _outcome(loss, model.labels(scores, batch.lengths), batch)

    def measure(self, model: SequenceTagger, batch: Rows, state: Any) -> Outcome:
        scores = model(batch.x, batch.lengths)
        if not batch.words:  # nothing to be right or wrong
            return _outcome(0.0, model.labels(scores, batch.lengths), batch)
        loss, _ = model.loss(scores, batch.labels, batch.lengths, gradient=False)
        return _outcome(loss, model.labels(scores, batch.lengths), batch)

    def examples(self, batch: Rows) -> NDArray[Any]:
        if batch.lengths is not None:
            return batch.lengths
        return np.full(len(batch.labels), batch.labels.shape[1])

    def identity(self, trainer: Any) -> dict[str, object]:
        """Return what makes the batches of `source`."""
        return {"batch_size": self.batch_size, "order": self.seed}


def _with_steps(name: str, data: Any) -> Rows:
    """Return the rows of data that have a step; ValueError if none has, or has NaN."""
    rows = Rows.of(name, data)
    if rows.x.dtype.kind == "f" and rows.x.ndim == 3:
        wrong = first_not_finite(f"{name}: x", rows.x, rows.lengths)
        if wrong:
            raise ValueError(f"{wrong}, expected a finite number: leave the step out, or fill it")
    if rows.lengths is None or rows.lengths.ndim != 1 or rows.lengths.all():
        return rows
    there = np.flatnonzero(rows.lengths)
    if not there.size:
        raise ValueError(f"{name}: lengths are all 0, expected a row with a step")
    return rows.select(there)


def _outcome(loss: float, found: Array, batch: Rows) -> Outcome:
    """Return the outcome of a batch; its outputs are the labels found [N,T]."""
    right = found == batch.labels
    if batch.lengths is not None:
        right &= np.arange(right.shape[1]) < batch.lengths[:, None]
    return Outcome(loss, batch.words, batch.words, int(right.sum()), outputs=found)
