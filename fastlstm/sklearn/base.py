"""What the estimators of sequences share: how numbers are read, which rows count, precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from fastlstm.kernels.arguments import check_precision
from fastlstm.nn.check import check_size
from fastlstm.sklearn.data import Data
from fastlstm.sklearn.readers import Numbers, find_numbers, find_texts, select
from fastlstm.sklearn.weights import Floats, check_weights
from fastlstm.train.tasks.weighted import normalized


class SequenceEstimator(BaseEstimator):
    """Base of the estimators, whose parameters are those of `LSTMClassifier`."""

    model_: Any
    reader_: Any
    n_features_in_: int
    precision: str
    random_state: Any
    max_length: int | None
    truncate: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        # not `string`, which would allow strings in the cells of a table
        return tags

    def _find_numbers(self, X: Any) -> Numbers:
        """Return the sequences of X in `fit`, which tell the number of features."""
        numbers = find_numbers(X, self)
        if not numbers.table:
            self.n_features_in_ = numbers.values.shape[1]
        return numbers

    def _read_numbers(self, X: Any) -> Data:
        """Return sequences of numbers as those of `fit` were read."""
        if find_texts(X) is not None:
            raise ValueError("X holds texts, expected numbers as in fit")
        return self._cut(self.reader_.read(find_numbers(X, self, self.reader_)))

    def _cut(self, data: Data) -> Data:
        """Return sequences as long as they are read."""
        if self.max_length is None:
            return data
        return data.truncate(check_size("max_length", self.max_length), self.truncate)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _set_precision(self) -> None:
        """Let the model predict in the precision that is set now, perhaps after `fit`."""
        head = self.model_.head
        if head.precision != self.precision:
            check_precision(self.precision, head.dtype, save=False)
            self.model_.set_precision(self.precision)


def counted(
    found: Any, y: NDArray[Any], sample_weight: Any
) -> tuple[Any, NDArray[Any], Floats | None]:
    """Return the sequences that count, what belongs to them and their weights, of mean 1.

    Errors as of `check_weights`.
    """
    weights = check_weights(sample_weight, len(y))
    if weights is None:
        return found, y, None
    rows = np.flatnonzero(weights)
    return select(found, rows), y[rows], normalized(weights[rows])
