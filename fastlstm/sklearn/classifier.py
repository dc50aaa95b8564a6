"""A recurrent classifier of texts and of sequences of numbers, as scikit-learn has them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fastlstm.notices import IdleWarning
from fastlstm.runtime import num_threads
from fastlstm.sklearn.base import SequenceEstimator, counted
from fastlstm.sklearn.beginning import first_vectors, learned_reader
from fastlstm.sklearn.data import Data, outputs_of
from fastlstm.sklearn.earlier import Earlier
from fastlstm.sklearn.idle import OF_NUMBERS, OF_TEXTS, warn_of_idle
from fastlstm.sklearn.labels import check_labels, plain_labels
from fastlstm.sklearn.parameters import OF_CLASSIFIERS, check_parameters
from fastlstm.sklearn.parts import parts_of, train_parts
from fastlstm.sklearn.pretraining import check_pretraining, pretrained
from fastlstm.sklearn.readers import (
    Analyzer,
    Numbers,
    TextReader,
    Texts,
    find_texts,
)
from fastlstm.sklearn.training import EMBEDDING_DIM, check_precision_of
from fastlstm.sklearn.weights import Floats, weights_of_rows
from fastlstm.train.classifier.predict import log_probabilities


class LSTMClassifier(ClassifierMixin, SequenceEstimator):
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
    parts : of texts, what classifies: the recurrent "net", a "linear" part over words, pairs and
        triples, or both "joined". The texts held back by `validation_fraction` decide how much each
        says, see `fastlstm.models.joined`; without any, the net says a fifth. Numbers are for the
        net. `fit` warns of parameters that do nothing: those of a net where there is none.
    cell : "lstm", "gru" or "rnn".
    hidden_size : units of a layer in each direction.
    num_layers, bidirectional : of the recurrent layers.
    pooling : "last", "mean" or "max" over the steps, or several joined by "+".
    dropout : probability for the pooled features, and between the layers.
    analyzer : texts to words: "word" (letters with their marks, digits and apostrophes, in lower
        case; emoji), "char" (each character), "mixed" (each character of scripts that write no
        spaces, words of the others), see `fastlstm.text.tokenize`; "auto", in `fit`: "mixed" if
        most letters are of such scripts, else "word"; or a function from a string to a list of
        strings.
    vocab_size : most words known, padding and the unknown word included.
    embedding_dim : size of a word's vector; that of the `vectors` where they are given.
    vectors : pretrained word vectors to begin with: a file of word2vec (text or binary), GloVe or
        fastText (``.vec``), perhaps packed, or a mapping from words to arrays. A word has the
        vector of its own spelling, else of one that is equal in lower case, else a random one of
        their standard deviation. They are not needed to predict.
    freeze_vectors : whether the word vectors stay as they are. The vocabulary is then filled up to
        `vocab_size` with their first words that X lacks, so that `predict` knows more words.
    embedding_dropout : probability for the elements of the word vectors; None takes `dropout`.
    word_dropout : fraction of the words that are hidden in training.
    pretrain : whether embedding and recurrent layers first learn to predict words of X, and of the
        `unlabelled` texts of `fit`; training then has half the learning rate.
    pretrain_epochs : epochs of that.
    pretrain_window : words before and after a word, of which one is predicted; 1 for the nearest.
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
    class_weight : dict of classes and weights, "balanced" (each class counts alike), or None for
        equal weights; a factor on `sample_weight` of `fit`.
    warm_start : whether `fit` goes on from what the last one has learned, if there was one, as to
        fine-tune on other texts: weights, vocabulary and scale are kept; new words follow up to
        `vocab_size`, but none if the vectors are frozen; `vectors` are not read again. If `y` has
        no class that is new, all classes, the head and a linear part joined to the net are kept,
        else they are new.
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
    model_ : the trained `TextClassifier` or `SequenceClassifier`; None if the linear part is alone.
    linear_, join_ : the linear part, a `fastlstm.linear.BagOfNgrams`, and the `Join` of both; None
        without one.
    reader_ : what was learned about the input: the ``vocabulary`` of texts and the ``rule`` that
        cuts them, or the ``mean`` and
        ``scale`` of numbers.
    history_ : `fastlstm.train.History`: loss and accuracy of each epoch, and which was best.
    n_iter_ : number of epochs trained.
    """

    classes_: NDArray[Any]
    # also of what was pickled before there was a choice
    precision, vectors, freeze_vectors, warm_start = "float32", None, False, False
    parts, linear_, join_ = "net", None, None
    pretrain, pretrain_epochs, pretrain_window = False, 3, 10

    def __init__(
        self, *, parts: str = "joined",
        cell: str = "lstm", hidden_size: int = 64, num_layers: int = 1,
        bidirectional: bool = True, pooling: str = "mean+max", dropout: float = 0.3,
        analyzer: Analyzer = "auto", vocab_size: int = 20_000, embedding_dim: int = EMBEDDING_DIM,
        vectors: Any = None, freeze_vectors: bool = False,
        embedding_dropout: float | None = None, word_dropout: float = 0.1,
        pretrain: bool = False, pretrain_epochs: int = 3, pretrain_window: int = 10,
        standardize: bool = True, max_length: int | None = None, truncate: str = "first",
        optimizer: str = "adam", lr: float = 5e-3, weight_decay: float = 0.0,
        schedule: str = "linear", clip: float = 1.0, average: float = 0.0, batch_size: int = 32,
        epochs: int = 10, validation_fraction: float = 0.0, patience: int = 0,
        class_weight: Any = None, warm_start: bool = False, dtype: str = "float32",
        precision: str = "float32",
        random_state: Any = None, n_threads: int | None = None, verbose: int = 0,
    ) -> None:  # fmt: skip
        self.parts = parts
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.dropout = dropout
        self.analyzer = analyzer
        self.vocab_size = vocab_size
        self.embedding_dim = embedding_dim
        self.vectors = vectors
        self.freeze_vectors = freeze_vectors
        self.embedding_dropout = embedding_dropout
        self.word_dropout = word_dropout
        self.pretrain = pretrain
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_window = pretrain_window
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
        self.warm_start = warm_start
        self.dtype = dtype
        self.precision = precision
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, unlabelled: Any = None
    ) -> LSTMClassifier:  # fmt: skip
        """Train on sequences and their labels.

        Parameters
        ----------
        X : N sequences, as the class says.
        y : [N], labels of one type, at least two different ones and none missing. Equal numbers
            are one class, but the texts "1" and "1.0" are two.
        sample_weight : [N], how much each sequence counts; None for all alike. Only the ratios
            matter: equal weights, whatever they are, give the very bits of none. A sequence of
            weight 0 is left out, as if X did not have it. A whole number is about as good as so
            many copies: in the loss, in the scaling of numbers, and in which words are frequent.
            The sequences that are held back have their weights too, and the best epoch is that of
            the best weighted accuracy.
        unlabelled : further texts of any number, of which no label is known, to pretrain on. Words
            that only they have fill the vocabulary up to `vocab_size`.

        Raises
        ------
        TypeError, ValueError
            If a parameter, X or y is not what is expected.
        FloatingPointError
            If training diverges.
        TrainingInterrupted
            After Ctrl-C.
        """
        check_parameters(self, OF_CLASSIFIERS)
        check_labels(y)
        y = validate_data(
            self, y=plain_labels(y)
        )  # first, as it forgets the column names of an earlier fit
        found = self._find(X)
        warn_of_idle(self, OF_TEXTS if isinstance(found, list) else OF_NUMBERS)
        check_consistent_length(found if isinstance(found, list) else found.lengths, y)
        check_classification_targets(y)
        found, y, weights = counted(found, np.asarray(y), sample_weight)
        earlier = self._earlier(found)
        more = check_pretraining(self, X, found, unlabelled, earlier)
        reader: Any = learned_reader(self, found, weights, earlier)
        if more:
            reader.add_words_of(more, self.vocab_size)
        numbered = np.unique(y, return_inverse=True) if earlier is None else earlier.number(y)
        classes, labels = numbered
        if len(classes) < 2:
            only = classes.tolist()[0]
            raise ValueError(f"y has one class only, {only!r}, expected at least two")
        seed = self._seed()
        parts_of(self, reader)  # before vectors are read, which may be long
        first: Any = earlier or first_vectors(self, reader)
        weights = weights_of_rows(self.class_weight, classes, labels, weights)
        data = self._cut(reader.read(found)).labelled(labels, weights)
        with num_threads(self.n_threads):
            if self.pretrain and earlier is None:
                check_precision_of(self)
                first = pretrained(self, reader, data, more, seed)
            trained = train_parts(self, reader, found, data, classes, seed, first)
        self.model_, self.history_, self.linear_, self.join_ = trained
        self.reader_, self.classes_ = reader, classes
        self.n_iter_ = len(self.history_.epochs)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return the logits: [N] for two classes, of the second one; else [N, C]."""
        check_is_fitted(self)
        self._set_precision()
        with num_threads(self.n_threads):
            net = None if self.model_ is None else outputs_of(self.model_, self._read(X))
            if self.linear_ is None or self.join_ is None:
                assert net is not None
                return net
            linear = self.linear_.logits(self.reader_.whole(self._texts(X)))
            return self.join_.logits(np.zeros_like(linear) if net is None else net, linear)

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

    def _find(self, X: Any) -> Texts | Numbers:
        """Return the sequences of X in `fit`, which tell the number of features."""
        texts = find_texts(X)
        if texts is not None:
            if hasattr(self, "n_features_in_"):  # of an earlier fit
                del self.n_features_in_
            return texts
        return self._find_numbers(X)

    def _earlier(self, found: Texts | Numbers) -> Earlier | None:
        """Return the result of an earlier `fit` to begin with, None to begin at random."""
        if not self.warm_start or getattr(self, "model_", None) is None:
            return None
        earlier = Earlier(self.model_, self.reader_, self.classes_)
        earlier.check(self, found, EMBEDDING_DIM)
        return earlier

    def _texts(self, X: Any) -> Texts:
        texts = find_texts(X, may_be_empty=True)
        if texts is None:
            raise ValueError("X holds no texts, expected some as in fit")
        return texts

    def _read(self, X: Any) -> Data:
        """Return sequences as those of `fit` were read."""
        if isinstance(self.reader_, TextReader):
            return self._cut(self.reader_.read(self._texts(X)))
        return self._read_numbers(X)

    def _set_precision(self) -> None:
        if self.model_ is not None:
            super()._set_precision()
        elif self.precision != "float32":
            warnings.warn("precision does nothing here: there is no net", IdleWarning, stacklevel=3)
