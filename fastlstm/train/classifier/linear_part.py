"""A linear part: trained before the net it is joined to, and once more on all texts."""

from __future__ import annotations

import pickle
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.distributed.processes import Processes
from fastlstm.linear import BagOfNgrams, LinearTraining, NgramOptions, TokenRows
from fastlstm.models.joined import Join, calibrate, join, join_unseen
from fastlstm.text.encoded import Ints
from fastlstm.train.classifier.predict import Float64, log_probabilities
from fastlstm.train.metrics import count_correct
from fastlstm.train.tasks.weighted import normalized

COSTS = (10.0, 30.0, 3.0)  # values of C: the last is for noisy texts, the second for most others
FOLDS = 5  # turns, where no texts are held back
ENOUGH = 1000  # texts, judged by turns, that tell which C is best
MOST = 2000  # training texts that tell how wide a net's logits are, where none are held back


# Of a part: what another process cannot know.
FITTED = ("model", "everything", "logits", "calibration", "C", "seconds")


class Trial(NamedTuple):
    """A model with one C, its logits of texts that it has not learned from, and what these tell."""

    C: float
    model: BagOfNgrams
    logits: Float64
    calibration: float
    loss: float


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Texts for a linear part: those to train on and those held back, which may be none.

    Attributes
    ----------
    texts : all of them, and perhaps others.
    labels : int [N], of each of the texts.
    train, held_back : numbers of texts.
    weights : [N], how much each counts; None where all count alike.
    """

    texts: TokenRows
    labels: NDArray[np.integer]
    train: Ints
    held_back: Ints
    weights: Float64 | None = None

    def weights_of(self, rows: Ints) -> Float64 | None:
        """Return the weights of some texts, with a mean of 1."""
        return None if self.weights is None else normalized(self.weights[rows])

    def training(self, num_classes: int, seed: int) -> LinearTraining:
        """Return what fits a model to some of the texts: first those to train on, then the rest."""
        rows = np.concatenate([self.train, self.held_back])
        return LinearTraining(
            self.texts.select(rows),
            self.labels[rows],
            num_classes,
            NgramOptions(seed=seed),
            sample_weight=self.weights_of(rows),
        )


@dataclass(frozen=True, eq=False)
class LinearPart:
    """A linear model of the texts to train on, and one of those held back as well.

    Attributes
    ----------
    model : that of the texts to train on.
    everything : that of all; the same if none are held back.
    rows : the texts.
    judged : numbers of those that tell how good it is: the ones held back; if there are none, those
        to train on by turns, each judged by a model that has not learned from it.
    logits : what it says of them.
    calibration : factor on its logits, see `models.joined.calibrate`.
    C : what errors cost it.
    seconds : that it took.
    """

    model: BagOfNgrams
    everything: BagOfNgrams
    rows: LabelledRows
    judged: Ints
    logits: Float64
    calibration: float
    C: float
    seconds: float

    @classmethod
    def fit(cls, rows: LabelledRows, num_classes: int, seed: int) -> LinearPart:
        """Train one."""
        start = time.perf_counter()
        training = rows.training(num_classes, seed)
        if len(rows.held_back):
            judged, best = rows.held_back, _best_for_others(training, rows)
            everything = training.fit(C=best.C)
        else:
            judged, best = rows.train, _best_by_turns(training, rows)
            everything = best.model
        seconds = time.perf_counter() - start
        return cls(
            best.model, everything, rows, judged, best.logits, best.calibration, best.C, seconds
        )

    @classmethod
    def shared(
        cls, processes: Processes, rows: LabelledRows, num_classes: int, seed: int
    ) -> LinearPart:
        """Train one in process 0, and return it in all; they have the same texts."""
        part = cls.fit(rows, num_classes, seed) if processes.first else None
        if processes.size > 1:
            fitted = [getattr(part, name) for name in FITTED] if part else None
            data = processes.send(pickle.dumps(fitted) if fitted else None)
            if part is None:
                judged = rows.held_back if len(rows.held_back) else rows.train
                told = dict(zip(FITTED, pickle.loads(data), strict=True))
                part = cls(rows=rows, judged=judged, **told)
        assert part is not None
        return part

    @property
    def labels(self) -> NDArray[Any]:
        """Of the texts that tell how good it is."""
        return self.rows.labels[self.judged]

    @property
    def told(self) -> str:
        """How good it is, in words."""
        accuracy = count_correct(self.logits, self.labels) / len(self.labels)
        where = "validation" if len(self.rows.held_back) else "training, by turns"
        return f"linear part: {accuracy:.2%} of {where}, {self.seconds:.1f} s"

    def heard(self) -> Ints:
        """Return numbers of the `judged` texts for which `join` wants the logits of the net."""
        step = 1 if len(self.rows.held_back) else -(-len(self.judged) // MOST)
        return np.arange(0, len(self.judged), step)

    def join(self, net: NDArray[np.floating]) -> Join:
        """Return the join with a net, for its logits of the texts of `heard`."""
        if not len(self.rows.held_back):
            return join_unseen(net, self.logits[self.heard()], self.calibration)
        weights = self.rows.weights_of(self.judged)
        return join(net, self.logits, self.labels, calibration=self.calibration, weights=weights)


def _best_for_others(training: LinearTraining, rows: LabelledRows) -> Trial:
    """Return the trial of least log loss of the texts held back."""
    kept = np.arange(len(rows.train))
    others = len(kept) + np.arange(len(rows.held_back))
    labels, weights = rows.labels[rows.held_back], rows.weights_of(rows.held_back)
    found: list[Trial] = []
    with closing(
        training.trials(kept, others, COSTS, sample_weight=rows.weights_of(rows.train))
    ) as trials:
        for C, (model, logits) in zip(COSTS, trials, strict=True):
            found.append(Trial(C, model, logits, *_calibrated(logits, labels, weights)))
            if found[-1].loss < found[0].loss:
                break  # the other way it can only be worse
    return min(found, key=lambda trial: trial.loss)


def _best_by_turns(training: LinearTraining, rows: LabelledRows) -> Trial:
    """Return a trial on all texts, of the C of least log loss where they are judged by turns."""
    labels, weights = rows.labels[rows.train], rows.weights_of(rows.train)
    folds = min(FOLDS, len(labels))
    part, judged = training.turns(folds), np.arange(0)
    said: list[list[Float64]] = [[] for _ in COSTS]
    for turn in range(folds):
        others = np.flatnonzero(part == turn)
        with closing(training.trials(np.flatnonzero(part != turn), others, COSTS)) as trials:
            for parts, (_, logits) in zip(said, trials, strict=True):
                parts.append(logits)
        judged = np.concatenate([judged, others])
        if len(judged) >= ENOUGH:
            break
    of_judged = labels[judged], None if weights is None else weights[judged]
    losses = [_calibrated(np.concatenate(parts), *of_judged)[1] for parts in said]
    C = COSTS[int(np.argmin(losses))]
    logits = training.cross_logits(folds, C=C)
    return Trial(C, training.fit(C=C), logits, *_calibrated(logits, labels, weights))


def _calibrated(
    logits: Float64, labels: NDArray[np.integer], weights: Float64 | None
) -> tuple[float, float]:
    """Return the best factor on logits, and their log loss with it."""
    factor = calibrate(logits, labels, weights)
    right = log_probabilities(factor * logits)[np.arange(len(labels)), labels]
    return factor, -float(np.average(right, weights=weights))
