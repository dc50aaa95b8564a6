"""A linear classifier of texts over the n-grams of their words and characters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.kernels import backend
from fastlstm.linear import saving
from fastlstm.linear.contributions import shares
from fastlstm.linear.counting import Features
from fastlstm.linear.options import NgramOptions
from fastlstm.linear.token_rows import TokenRows
from fastlstm.linear.weighting import Reals, weigh
from fastlstm.shown import shown


class BagOfNgrams:
    """Logistic regressions on the n-grams of texts, one for each class against the others.

        logit = sum over n-grams of  value * weight  + intercept

    A text's n-grams of words are a vector of length 1, its n-grams of characters another. `fit`
    makes one; `from_state` reads a stored one.

    Parameters
    ----------
    features : F numbered n-grams.
    scales : float32 [F], their factors in a text.
    weights : float32 [F,P]; P is 1 for two classes, else their number.
    intercept : float64 [P].
    num_classes : at least 2.

    References
    ----------
    S. Wang, C. D. Manning (2012). Baselines and bigrams: simple, good sentiment and topic
    classification. ACL 2012, 90-94.
    """

    def __init__(
        self,
        features: Features,
        scales: NDArray[np.float32],
        weights: NDArray[np.float32],
        intercept: Reals,
        num_classes: int,
    ) -> None:
        self.features, self.scales, self.weights = features, scales, weights
        self.intercept, self.num_classes = intercept, num_classes

    def __repr__(self) -> str:
        return shown(self, features=len(self.features))

    @classmethod
    def fit(
        cls,
        texts: TokenRows,
        labels: ArrayLike,
        num_classes: int,
        options: NgramOptions | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        advance: Callable[[float], object] | None = None,
    ) -> BagOfNgrams:
        """Return a classifier of labelled texts: arguments and errors as of `LinearTraining`."""
        from fastlstm.linear.training import LinearTraining

        training = LinearTraining(
            texts,
            labels,
            num_classes,
            options or NgramOptions(),
            sample_weight=sample_weight,
            advance=advance,
        )
        return training.fit()

    def logits(self, texts: TokenRows) -> Reals:
        """Return the log-odds of class 1, or of each class against the others.

        A text none of whose n-grams is known has the intercept.

        Parameters
        ----------
        texts : N texts, cut as those of `fit`.

        Returns
        -------
        float64 [N] of two classes, else [N, num_classes].
        """
        rows = weigh(self.features.count(texts), self.scales)
        found = backend().sparse_product(rows, self.weights) + self.intercept
        return found[:, 0] if self.num_classes == 2 else found

    def contributions(self, tokens: Sequence[str]) -> Reals:
        """Return what each token of one text adds to its logit.

        What an n-gram adds is divided equally among the places where the text has it, and that of
        each place among the tokens there. With the intercept they sum to the logit.

        Parameters
        ----------
        tokens : the L tokens of the text, in order.

        Returns
        -------
        float64 [L] of two classes, else [L, num_classes].
        """
        found = shares(self, tokens)
        return found[:, 0] if self.num_classes == 2 else found

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a pickle holds: the tables of compiled code are made anew."""
        return BagOfNgrams.from_state, (self.state(), self.options())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all as arrays by name, for a file: with `options` they make it again."""
        return saving.state(self)

    def options(self) -> dict[str, Any]:
        """Return the rest, for JSON."""
        return saving.options(self)

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, NDArray[Any]], options: Mapping[str, Any]
    ) -> BagOfNgrams:
        """Make a classifier of what `state` and `options` returned.

        Raises
        ------
        ValueError
            If something is missing, or damaged.
        """
        return cls(*saving.read(arrays, options))
