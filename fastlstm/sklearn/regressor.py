"""A recurrent regressor of sequences of numbers, as scikit-learn has them."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from fastlstm.runtime import num_threads
from fastlstm.sklearn.base import SequenceEstimator, counted
from fastlstm.sklearn.data import outputs_of
from fastlstm.sklearn.idle import OF_REGRESSIONS, warn_of_idle
from fastlstm.sklearn.parameters import OF_REGRESSORS, check_parameters
from fastlstm.sklearn.readers import NumberReader, find_texts
from fastlstm.sklearn.regression import EarlierRegression, train_regressor
from fastlstm.sklearn.scale import TargetScale
from fastlstm.sklearn.targets import check_targets
from fastlstm.sklearn.weights import Floats


class LSTMRegressor(RegressorMixin, SequenceEstimator):
    """LSTM, GRU or RNN over sequences of numbers, pooling, a linear head for one or more targets.

    X is one of

    - an array [N, T, F], or a list of N arrays [T_i, F] of any lengths: T steps of F numbers;
    - an array [N, T] (or lists of equal length, or a data frame), or a list of N arrays [T_i]: one
      number a step. `predict` expects as many columns of a table as `fit` had.

    Parameters
    ----------
    loss : "squared_error"; "absolute_error", for which outliers are no more than far;
        "huber", the squared error up to `delta` and the absolute one from there; "quantile", the
        pinball loss of `quantiles`, for forecasts with their uncertainty.
    delta : of "huber", in standard deviations of the target.
    quantiles : of "quantile", between 0 and 1 in rising order; None for 0.1, 0.5 and 0.9.
        `predict` gives the one nearest to 0.5, `predict_quantiles` all of them, which never cross.
    cell, hidden_size, num_layers, bidirectional, pooling, dropout : as of `LSTMClassifier`.
    standardize : whether to scale each of the F numbers to mean 0 and variance 1 over all steps of
        the training sequences.
    standardize_targets : whether to scale each target to mean 0 and variance 1 in training, so that
        several count alike. Predictions are always on the scale of `y`.
    max_length, truncate, optimizer, lr, weight_decay, schedule, clip, average, batch_size, epochs :
        as of `LSTMClassifier`.
    validation_fraction : fraction of the sequences, drawn at random, to hold back, to keep the
        epoch of the least loss on it; with 0 the last epoch is kept.
    patience : stop after so many epochs without a better one; 0 for never. Needs a
        `validation_fraction`.
    warm_start : whether `fit` goes on from what the last one has learned, if there was one: weights
        and scales are kept.
    dtype, precision, random_state, n_threads, verbose : as of `LSTMClassifier`.

    Attributes
    ----------
    n_features_in_ : columns of a table, else F.
    feature_names_in_ : of a data frame's columns.
    model_ : the trained `SequenceRegressor`, which `fastlstm.save` writes; of scaled numbers.
    reader_ : what was learned about X: ``mean`` and ``scale``.
    target_scale_ : what was learned about y: ``mean`` and ``scale``.
    history_ : `fastlstm.train.History`: loss and errors of each epoch, of scaled targets, and which
        was best.
    n_iter_ : number of epochs trained.
    """

    def __init__(
        self, *, loss: str = "squared_error", delta: float = 1.0, quantiles: Any = None,
        cell: str = "lstm", hidden_size: int = 64, num_layers: int = 1,
        bidirectional: bool = False, pooling: str = "last+mean+max", dropout: float = 0.0,
        standardize: bool = True, standardize_targets: bool = True,
        max_length: int | None = None, truncate: str = "first",
        optimizer: str = "adam", lr: float = 5e-3, weight_decay: float = 0.0,
        schedule: str = "linear", clip: float = 1.0, average: float = 0.0, batch_size: int = 32,
        epochs: int = 60, validation_fraction: float = 0.0, patience: int = 0,
        warm_start: bool = False, dtype: str = "float32", precision: str = "float32",
        random_state: Any = None, n_threads: int | None = None, verbose: int = 0,
    ) -> None:  # fmt: skip
        self.loss = loss
        self.delta = delta
        self.quantiles = quantiles
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.dropout = dropout
        self.standardize = standardize
        self.standardize_targets = standardize_targets
        self.max_length = max_length
        self.truncate = truncate
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clip = clip
        self.average = average
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.dtype = dtype
        self.precision = precision
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> LSTMRegressor:
        """Train on sequences and their targets.

        Parameters
        ----------
        X : N sequences, as the class says.
        y : [N], or [N, K] of K targets: finite numbers.
        sample_weight : as of `LSTMClassifier.fit`: only ratios matter, a sequence of weight 0 is
            left out, and a whole number is about as good as so many copies.

        Raises
        ------
        TypeError, ValueError
            If a parameter, X or y is not what is expected.
        FloatingPointError
            If training diverges.
        TrainingInterrupted
            After Ctrl-C.
        """
        check_parameters(self, OF_REGRESSORS)
        targets = check_targets(self, y)  # first: it forgets the column names of an earlier fit
        if find_texts(X) is not None:
            raise ValueError("X holds texts, expected sequences of numbers")
        found = self._find_numbers(X)
        warn_of_idle(self, OF_REGRESSIONS)
        check_consistent_length(found.lengths, targets)
        found, targets, weights = counted(found, targets, sample_weight)
        earlier = self._earlier(targets)
        if earlier is None:
            reader = NumberReader(found, self.standardize, self.dtype, weights)
            scale = TargetScale(targets, self.standardize_targets, weights)
        else:
            reader, scale = earlier.reader, earlier.scale
        data = self._cut(reader.read(found))
        data = data.with_targets(scale.scaled(targets, self.dtype), weights)
        with num_threads(self.n_threads):
            trained = train_regressor(self, reader, scale, data, self._seed(), earlier)
        self.model_, self.history_ = trained
        self.reader_, self.target_scale_ = reader, scale
        self.n_iter_ = len(self.history_.epochs)
        return self

    def predict(self, X: Any) -> Floats:
        """Return a forecast for each sequence: [N], or [N, K] if `y` was so."""
        outputs = self._outputs(X)
        return self.target_scale_.back(self.model_.point(outputs))

    def predict_quantiles(self, X: Any) -> Floats:
        """Return the Q quantiles of each forecast: [N, Q], or [N, K, Q]; they never cross.

        Raises ValueError if the loss that was fitted was no "quantile".
        """
        outputs = self._outputs(X)
        if self.model_.options["distribution"] != "quantiles":
            raise ValueError("there are no quantiles: fit with loss='quantile'")
        return self.target_scale_.back(outputs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _earlier(self, targets: Floats) -> EarlierRegression | None:
        """Return the result of an earlier `fit` to begin with, None to begin at random."""
        if not self.warm_start or getattr(self, "model_", None) is None:
            return None
        earlier = EarlierRegression(self.model_, self.reader_, self.target_scale_)
        earlier.check(self, targets)
        return earlier

    def _outputs(self, X: Any) -> Floats:
        """Return what the model says of sequences that are read as those of `fit` were."""
        check_is_fitted(self)
        self._set_precision()
        data = self._read_numbers(X)
        with num_threads(self.n_threads):
            return outputs_of(self.model_, data)
