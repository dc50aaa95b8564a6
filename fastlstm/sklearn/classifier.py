"""A recurrent classifier of texts and of sequences of numbers, as scikit-learn has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fastlstm.kernels.arguments import check_precision
from fastlstm.nn.check import check_size
from fastlstm.runtime import num_threads
from fastlstm.sklearn.data import Data
from fastlstm.sklearn.labels import check_labels
from fastlstm.sklearn.readers import Analyzer, NumberReader, TextReader, find_numbers, find_texts
from fastlstm.sklearn.training import EVALUATION_BATCH, Reader, train
from fastlstm.train.classifier.predict import log_probabilities

Floats = NDArray[np.float64]


class LSTMClassifier(ClassifierMixin, BaseEstimator):
    """LSTM, GRU or RNN over texts or sequences of numbers, pooling, a linear head.

    X is one of

    - a list (array, Series) of strings: texts, split by `analyzer`;
    - a list of lists of strings: texts that are already split into words;
    - an array [N, T, F], or a list of N arrays [T_i, F] of any lengths: T steps of F numbers;
    - an array [N, T] (or lists of equal length, or a data frame), or a list of N arrays [T_i]: one
      number a step. `predict` expects as many columns of a table as `fit` had.

    Integers are numbers too: to use them as tokens, pass them as strings.

    Parameters
    ----------
    cell : "lstm", "gru" or "rnn".
    hidden_size : units of a layer in each direction.
    num_layers, bidirectional : of the recurrent layers.
    pooling : "last", "mean" or "max" over the steps, or several joined by "+".
    dropout : probability for the pooled features, and between the layers.
    analyzer : texts to words: "word" (letters, digits and apostrophes, in lower case), "char"
        (each character), or a function from a string to a list of strings.
    vocab_size : most words known, padding and the unknown word included.
    embedding_dim : size of a word's vector.
    embedding_dropout : probability for the elements of the word vectors; None takes `dropout`.
    word_dropout : fraction of the words that are hidden in training.
    standardize : whether to scale each of the F numbers to mean 0 and variance 1 over all steps of
        the training sequences.
    max_length : most steps read of a sequence; None for all.
    truncate : what is read of a longer one: the "first" steps, or both "ends".
    optimizer : "adam", "adamw" or "sgd" (with momentum 0.9).
    lr, weight_decay : of the optimizer.
    schedule : of the learning rate: "constant", "linear" or "cosine" (both fall to 0).
    clip : limit of the gradient's norm; 0 for none.
    average : decay, such as 0.99, of a running average of the weights that replaces the last
        weights; 0 for none.
    batch_size : sequences in a batch.
    epochs : most passes over the data.
    validation_fraction : fraction of each class to hold back, to keep the epoch of the best
        accuracy on it; with 0 the last epoch is kept.
    patience : stop after so many epochs without a better one; 0 for never. Needs a
        `validation_fraction`.
    class_weight : dict of classes and weights, "balanced", or None for equal weights.
    dtype : "float32" or "float64".
    precision : of the products; "float32" (as `dtype` says), or the faster "bfloat16" in `fit` and
        in prediction. In "int8" a classifier only predicts: fit it in another precision, then
        ``set_params(precision="int8")``. float64 takes "float32" alone.
    random_state : int, RandomState or None. An int gives the same result bit for bit.
    n_threads : threads to use, which do not change the result; None for
        `fastlstm.get_num_threads`. 1 is best with ``n_jobs`` of GridSearchCV.
    verbose : 0 for silence, 1 for a line an epoch, 2 for a progress bar as well.

    Attributes
    ----------
    classes_ : the labels, sorted.
    n_features_in_ : columns of a table, else F; absent for texts.
    feature_names_in_ : of a data frame's columns.
    model_ : the trained `TextClassifier` or `SequenceClassifier`.
    reader_ : what was learned about the input: the ``vocabulary`` of texts, or the ``mean`` and
        ``scale`` of numbers.
    history_ : `fastlstm.train.History`: loss and accuracy of each epoch, and which was best.
    n_iter_ : number of epochs trained.
    """

    classes_: NDArray[Any]
    n_features_in_: int
    precision = "float32"  # also of what was pickled before there was a choice

    def __init__(
        self, *, cell: str = "lstm", hidden_size: int = 64, num_layers: int = 1,
        bidirectional: bool = True, pooling: str = "mean+max", dropout: float = 0.3,
        analyzer: Analyzer = "word", vocab_size: int = 20_000, embedding_dim: int = 64,
        embedding_dropout: float | None = None, word_dropout: float = 0.1,
        standardize: bool = True, max_length: int | None = None, truncate: str = "first",
        optimizer: str = "adam", lr: float = 5e-3, weight_decay: float = 0.0,
        schedule: str = "linear", clip: float = 1.0, average: float = 0.0, batch_size: int = 32,
        epochs: int = 10, validation_fraction: float = 0.0, patience: int = 0,
        class_weight: Any = None, dtype: str = "float32", precision: str = "float32",
        random_state: Any = None, n_threads: int | None = None, verbose: int = 0,
    ) -> None:  # fmt: skip
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.dropout = dropout
        self.analyzer = analyzer
        self.vocab_size = vocab_size
        self.embedding_dim = embedding_dim
        self.embedding_dropout = embedding_dropout
        self.word_dropout = word_dropout
        self.standardize = standardize
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
        self.class_weight = class_weight
        self.dtype = dtype
        self.precision = precision
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(self, X: Any, y: ArrayLike) -> LSTMClassifier:
        """Train on sequences and their labels.

        Parameters
        ----------
        X : N sequences, as the class says.
        y : [N], labels of one type, at least two different ones and none missing. Equal numbers
            are one class, but the texts "1" and "1.0" are two.

        Raises
        ------
        TypeError, ValueError
            If a parameter, X or y is not what is expected.
        FloatingPointError
            If training diverges.
        TrainingInterrupted
            After Ctrl-C.
        """
        check_labels(y)
        y = validate_data(self, y=y)  # first, as it forgets the column names of an earlier fit
        reader, data = self._learn(X)
        check_consistent_length(data, y)
        check_classification_targets(y)
        classes, labels = np.unique(np.asarray(y), return_inverse=True)
        if len(classes) < 2:
            only = classes.tolist()[0]
            raise ValueError(f"y has one class only, {only!r}, expected at least two")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with num_threads(self.n_threads):
            model, history = train(self, reader, data.labelled(labels), classes, seed)
        self.model_, self.reader_, self.classes_, self.history_ = model, reader, classes, history
        self.n_iter_ = len(history.epochs)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return the logits: [N] for two classes, of the second one; else [N, C]."""
        check_is_fitted(self)
        self._set_precision()
        data = self._read(X)
        shape = (len(data),) if self.model_.num_outputs == 1 else (len(data), len(self.classes_))
        logits = np.empty(shape)
        with num_threads(self.n_threads):
            for batch in data.batches(EVALUATION_BATCH):
                logits[batch.index] = self.model_(batch.tokens, batch.lengths)
        return logits

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithm of the probability of each class, [N, C]."""
        return log_probabilities(self.decision_function(X))

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class, [N, C] in the order of `classes_`."""
        proba: Floats = np.exp(self.predict_log_proba(X))
        return proba

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each sequence, [N]."""
        logits = self.decision_function(X)
        labels = logits.argmax(axis=1) if logits.ndim == 2 else (logits > 0).astype(np.intp)
        predicted: NDArray[Any] = self.classes_[labels]
        return predicted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        # not `string`, which would allow strings in the cells of a table
        return tags

    def _learn(self, X: Any) -> tuple[Reader, Data]:
        """Return a reader that has learned from X, and what it reads in X."""
        reader: Reader
        texts = find_texts(X)
        if texts is not None:
            if hasattr(self, "n_features_in_"):  # of an earlier fit
                del self.n_features_in_
            reader = TextReader(texts, self.analyzer, self.vocab_size)
            return reader, self._cut(reader.read(texts))
        numbers = find_numbers(X, self)
        if not numbers.table:
            self.n_features_in_ = numbers.values.shape[1]
        reader = NumberReader(numbers, self.standardize, self.dtype)
        return reader, self._cut(reader.read(numbers))

    def _read(self, X: Any) -> Data:
        """Return sequences as those of `fit` were read."""
        texts = find_texts(X)
        if isinstance(self.reader_, TextReader):
            if texts is None:
                raise ValueError("X holds no texts, expected some as in fit")
            return self._cut(self.reader_.read(texts))
        if texts is not None:
            raise ValueError("X holds texts, expected numbers as in fit")
        return self._cut(self.reader_.read(find_numbers(X, self, self.reader_)))

    def _set_precision(self) -> None:
        """Let the model predict in the precision that is set now, perhaps after `fit`."""
        head = self.model_.head
        if head.precision != self.precision:
            check_precision(self.precision, head.dtype, save=False)
            self.model_.set_precision(self.precision)

    def _cut(self, data: Data) -> Data:
        if self.max_length is None:
            return data
        check_size("max_length", self.max_length)
        return Data(data.encoded.truncate(self.max_length, self.truncate), data.values)
