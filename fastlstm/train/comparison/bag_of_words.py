"""NB-SVM: a linear classifier of words and pairs of words, to see what a recurrent net adds.

Wang & Manning 2012, "Baselines and bigrams". A feature is a word, or a pair of neighbouring words,
that a text has or has not. It is scaled by its log-count ratio (naive Bayes)

    r = log( (p / |p|_1) / (q / |q|_1) ),  p = alpha + texts of class 1 that have it, q of class 0

A linear support vector machine learns weights w on the scaled features, which are then drawn
towards their mean magnitude: w' = (1 - beta) mean|w| + beta w.

Texts are word ids: a pair (a, b) has the code ``a * base + b``, a word the code ``a * base``,
where base is above every id. Needs scikit-learn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.text import UNK, Encoded

ALPHA = 1.0
# Values of NBSVM that are tried on the validation part.
PENALTIES = (0.001, 0.01, 0.1, 1.0)
BETAS = (0.25, 0.5, 0.75, 1.0)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Ngrams:
    """The words and pairs of words of some training texts, as columns of a matrix.

    `codes`, int64 [F], are the codes of the columns, increasing. Ids up to `UNK` are no words and
    are left out.
    """

    def __init__(self, texts: Encoded) -> None:
        self._base = int(texts.tokens.max(initial=0)) + 1
        self.codes: Ints = np.unique(self._codes(texts)[0])

    def __len__(self) -> int:
        return len(self.codes)

    def matrix(self, texts: Encoded) -> Any:
        """Return a sparse matrix [N, F]: 1 if a text has a known word or pair, else 0."""
        from scipy.sparse import csr_matrix

        codes, rows = self._codes(texts)
        columns = np.searchsorted(self.codes, codes)
        known = columns < len(self)
        known[known] = self.codes[columns[known]] == codes[known]
        ones = np.ones(np.count_nonzero(known))
        found = csr_matrix((ones, (rows[known], columns[known])), (len(texts), len(self)))
        found.data[:] = 1.0  # also for repeated words
        return found

    def _codes(self, texts: Encoded) -> tuple[Ints, Ints]:
        """Return the codes of all words, then of all pairs, and the row of each."""
        tokens = texts.tokens.astype(np.int64)
        rows = np.repeat(np.arange(len(texts)), texts.lengths)
        word = (tokens > UNK) & (tokens < self._base)
        pair = word[:-1] & word[1:] & (rows[:-1] == rows[1:])
        codes = tokens * self._base
        pairs = codes[:-1][pair] + tokens[1:][pair]
        return np.concatenate([codes[word], pairs]), np.concatenate([rows[word], rows[:-1][pair]])


def log_count_ratio(x: Any, labels: Ints, alpha: float = ALPHA) -> Floats:
    """Return r [F] of the formula above, for features x [N, F] and labels [N] of 0 and 1."""
    p, q = (alpha + np.asarray(x[labels == label].sum(axis=0)).ravel() for label in (1, 0))
    ratio: Floats = np.log(p / p.sum()) - np.log(q / q.sum())
    return ratio


@dataclass(frozen=True)
class NBSVM:
    """A fitted NB-SVM."""

    ratio: Floats  # [F], r of each feature
    own: Floats  # [F], w of each feature
    bias: float  # of the support vector machine
    penalty: float  # C of the machine: larger fits the training texts closer
    beta: float = 0.25  # share of the machine's weights, 0 to 1; the rest is naive Bayes

    @classmethod
    def fit(cls, x: Any, labels: Ints, penalty: float = 1.0) -> NBSVM:
        """Learn from features x, sparse [N, F], and labels [N] of 0 and 1."""
        from scipy.sparse import diags
        from sklearn.svm import LinearSVC

        ratio = log_count_ratio(x, labels)
        machine = LinearSVC(C=penalty, dual=True, random_state=0, max_iter=10_000)
        machine.fit(x @ diags(ratio), labels)
        return cls(ratio, machine.coef_.ravel(), float(machine.intercept_[0]), penalty)

    def decision(self, x: Any) -> Floats:
        """Return a number for each row of x [N, F], positive for class 1."""
        weights = (1.0 - self.beta) * np.abs(self.own).mean() + self.beta * self.own
        found: Floats = x @ (self.ratio * weights) + self.bias
        return found

    def accuracy(self, x: Any, labels: Ints) -> float:
        """Return the share of the rows of x that are classified as in `labels`."""
        return float(np.mean((self.decision(x) > 0) == labels))


class Found(NamedTuple):
    """The best model on the validation texts."""

    model: NBSVM  # with the best penalty and beta
    ngrams: Ngrams  # its features
    accuracy: float  # on the validation texts
    seconds: float  # to find the features and to fit this model
    search_seconds: float  # to fit and try the others


def search(train: Encoded, validation: Encoded) -> Found:
    """Fit NB-SVM to the training texts; choose penalty and beta on the validation texts.

    Raises ValueError if the training texts have no known word, or one class only.
    """
    import sklearn.svm  # noqa: F401  # not to be timed

    start = time.perf_counter()
    ngrams = Ngrams(train)
    if not len(ngrams):
        raise ValueError("the training texts have no word that the vocabulary knows")
    x = ngrams.matrix(train)
    preparation = time.perf_counter() - start
    held_back = ngrams.matrix(validation)
    tried: list[tuple[float, NBSVM, float]] = []
    for penalty in PENALTIES:
        begin = time.perf_counter()
        fitted = NBSVM.fit(x, train.labels, penalty)
        fitting = time.perf_counter() - begin
        for model in (replace(fitted, beta=beta) for beta in BETAS):
            tried.append((model.accuracy(held_back, validation.labels), model, fitting))
    accuracy, model, fitting = max(tried, key=lambda one: one[0])  # of equal ones the first
    seconds = preparation + fitting
    return Found(model, ngrams, accuracy, seconds, time.perf_counter() - start - seconds)
