"""Fitting a linear classifier, and what it says of texts that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from fastlstm import runtime
from fastlstm.counts import count_of
from fastlstm.kernels import backend
from fastlstm.kernels.masked import refuse_masked
from fastlstm.kernels.sparse import LEAST_COST, MOST_COST, LogisticProblem
from fastlstm.linear.bag_of_ngrams import BagOfNgrams
from fastlstm.linear.counting import find_features
from fastlstm.linear.folds import folds_of
from fastlstm.linear.ngrams import Int64s
from fastlstm.linear.options import FEW_TEXTS, NgramOptions
from fastlstm.linear.side_by_side import ending, side_by_side
from fastlstm.linear.targets import read_targets
from fastlstm.linear.token_rows import TokenRows
from fastlstm.linear.weighting import Reals, scales_of, select, weigh
from fastlstm.shown import shown

CHARS_LEAST = 2  # texts that must have an n-gram of characters
MOST_WEIGHT = MOST_COST / 10
COUNTED = 0.4  # of the time that a fit takes, before it begins


class LinearTraining:
    """Labelled texts whose n-grams have been counted, to fit classifiers to.

    Parameters
    ----------
    texts : N texts.
    labels : int [N], the class of each: 0 to num_classes - 1; or for two classes float [N], the
        probability of class 1: a text counts for both then, by their probabilities.
    num_classes : at least 2; one without a text is improbable for any text.
    options : which n-grams, and how it is fitted.
    sample_weight : float [N], factors of C: 2 is as if the text were there twice; 0 leaves it out.
    advance : called with the share of the work that has been done since the last call; the shares
        of counting and of one `fit` sum to 1.

    Raises
    ------
    ValueError
        If labels or weights do not fit the texts.
    """

    def __init__(
        self,
        texts: TokenRows,
        labels: ArrayLike,
        num_classes: int,
        options: NgramOptions = NgramOptions(),  # noqa: B008  # frozen
        *,
        sample_weight: ArrayLike | None = None,
        advance: Callable[[float], object] | None = None,
    ) -> None:
        self.options, self.classes = options, num_classes
        self.targets = read_targets(labels, len(texts), num_classes)
        weight = np.ones(len(texts)) if sample_weight is None else sample_weight
        self.weight = _read_weight(weight, len(texts))
        self._advance = advance or (lambda share: None)
        used = texts if (self.weight > 0).all() else texts.select(self.weight > 0)
        self.least = (1 if len(used) < FEW_TEXTS else 2, CHARS_LEAST)
        self.features = find_features(
            used,
            options.words,
            options.chars_of(len(used.ids)),
            self.least,
            options.features_of(num_classes),
        )
        self.counts = self.features.count(texts)
        self._advance(COUNTED)

    def __repr__(self) -> str:
        return shown(self, texts=len(self.targets), features=len(self.features))

    def fit(
        self, index: ArrayLike | None = None, *, C: float | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> BagOfNgrams:  # fmt: skip
        """Return a classifier of all texts, or of those of the given numbers alone, int [M].

        The n-grams have been counted for all of them, which takes most of the time: to fit again,
        to others, is quick. Those that only other texts have weigh nothing.

        Parameters
        ----------
        index : which texts.
        C : in place of that of the options.
        sample_weight : float [M], in place of those that were given with the texts.

        Raises
        ------
        IndexError
            If a number is out of range.
        ValueError
            If C or a weight is out of range.
        """
        model = self._weighed(index, sample_weight).fit(C)
        self._advance(1 - COUNTED)
        return model

    def trials(
        self, index: ArrayLike, judged: ArrayLike, costs: Sequence[float], *,
        sample_weight: ArrayLike | None = None,
    ) -> Generator[tuple[BagOfNgrams, Reals], None, None]:  # fmt: skip
        """Fit classifiers to some texts, of one C after another, as they are asked for.

        Of two classes, of which a fit keeps one thread busy, as many are fitted at a time as there
        are threads, and ``close`` ends those that nobody waits for. Errors are as of `fit`.

        Parameters
        ----------
        index : int [M], the texts to fit to.
        judged : int [J], the texts to judge.
        costs : the values of C.
        sample_weight : as of `fit`.

        Yields
        ------
        classifier : fitted to the M texts.
        logits : of the J others by it, float64 [J] of two classes, else [J, num_classes].
        """
        weighed = self._weighed(index, sample_weight)
        others = np.asarray(judged, np.int64)

        def trial(C: float) -> tuple[BagOfNgrams, Reals]:
            model = weighed.fit(C)
            return model, self._shaped(weighed.logits(model, others))

        at_a_time = runtime.get_num_threads() if self.classes == 2 else 1
        for first in range(0, len(costs), at_a_time):
            yield from side_by_side(trial, costs[first : first + at_a_time])

    def turns(self, folds: int = 5) -> Int64s:
        """Return in which of the `folds` parts of `cross_logits` each text is, int64 [N].

        Errors as there.
        """
        return folds_of(self.targets.labels, folds, np.random.default_rng(self.options.seed))

    def cross_logits(self, folds: int = 5, *, C: float | None = None) -> Reals:
        """Return the logits of each text by a classifier that was not fitted to it.

        The texts are divided into parts of all classes; each part is judged by a classifier of the
        others, which weights the n-grams by those alone.

        Parameters
        ----------
        folds : how many parts.
        C : in place of that of the options.

        Returns
        -------
        float64 [N], or [N, num_classes], as of `BagOfNgrams.logits`.

        Raises
        ------
        ValueError
            If there are fewer than two folds, or more than texts; or C is out of range.
        """
        part = self.turns(folds)
        found = np.empty((len(part), 1 if self.classes == 2 else self.classes))
        for fold in range(folds):
            weighed = _Weighed(self, np.where(part == fold, 0, self.weight))
            judged = np.flatnonzero(part == fold)
            found[judged] = weighed.logits(weighed.fit(C), judged)
        return self._shaped(found)

    def _weighed(self, index: ArrayLike | None, sample_weight: ArrayLike | None) -> _Weighed:
        rows = np.arange(len(self.weight)) if index is None else np.asarray(index, np.int64)
        weight = np.zeros_like(self.weight)
        weight[rows] = self.weight[rows]
        if sample_weight is not None:
            weight[rows] = _read_weight(sample_weight, len(rows))
        return _Weighed(self, weight)

    def _shaped(self, logits: Reals) -> Reals:
        return logits[:, 0] if self.classes == 2 else logits


class _Weighed:
    """The texts of a training, of which those of a weight above 0 say what an n-gram weighs."""

    def __init__(self, training: LinearTraining, weight: Reals) -> None:
        t, self.training, self.weight = training, training, weight
        sizes = len(t.features.keys[0]), len(t.features.keys[1])
        self.scales = scales_of(t.counts, t.targets, t.classes, weight, sizes, t.least)
        self.rows = weigh(t.counts, self.scales)
        self.used = np.flatnonzero(weight > 0)
        every = len(self.used) == len(weight)
        # once for all fits, some of which may be made at the same time
        self.learned = self.rows if every else select(self.rows, self.used)

    def fit(self, C: float | None) -> BagOfNgrams:
        """Return a classifier of the texts of a weight above 0."""
        t, options = self.training, self.training.options
        options = options if C is None else replace(options, C=C)
        targets = t.targets.select(self.used)
        found = backend().logistic(
            LogisticProblem(
                self.learned,
                len(t.features),
                targets.labels,
                t.classes,
                np.clip(options.C * self.weight[self.used], LEAST_COST, MOST_COST),
                tolerance=options.tolerance,
                seed=options.seed,
                doubt=targets.doubt if t.classes == 2 else None,
                n_threads=runtime.get_num_threads(),
                ended=ending(),
            )
        )
        weights = np.ascontiguousarray(found.weights.T)
        return BagOfNgrams(t.features, self.scales, weights, found.intercept, t.classes)

    def logits(self, model: BagOfNgrams, judged: Int64s) -> Reals:
        """Return what a classifier of these texts says of some others, [J, P]."""
        rows = select(self.rows, judged)
        return backend().sparse_product(rows, model.weights) + model.intercept


def _read_weight(weight: ArrayLike, texts: int) -> Reals:
    refuse_masked("sample_weight", weight)
    found = np.asarray(weight, np.float64)
    if found.shape != (texts,) or not ((found >= 0) & (found <= MOST_WEIGHT)).all():
        raise ValueError(
            f"sample_weight must be {count_of(texts, 'number')} from 0 to {MOST_WEIGHT:g}"
        )
    return found
