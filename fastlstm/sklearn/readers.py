"""The input of an estimator as sequences: texts, words, tables and ragged arrays.

A reader holds what `fit` learns about the input: the vocabulary, or the size and scale of numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from fastlstm.nn.module import Array
from fastlstm.sklearn.data import Data
from fastlstm.text import UNK, Encoded, Vocabulary, tokenize
from fastlstm.text.token_list import by_frequency
from fastlstm.text.vocabulary import SPECIAL, check_size

Analyzer = str | Callable[[str], Sequence[str]]
Texts = list[Any]  # each a string, or a list of words

ANALYZERS: dict[str, Callable[[str], Sequence[str]]] = {"word": tokenize, "char": list}


class TextReader:
    """Reads texts as word ids, with a `vocabulary` of the most frequent words.

    Parameters are those of `LSTMClassifier`, and the texts of `find_texts`. Raises ValueError if
    the analyzer is unknown, or there are no words.
    """

    def __init__(self, texts: Texts, analyzer: Analyzer, vocab_size: int) -> None:
        if not callable(analyzer) and analyzer not in ANALYZERS:
            raise ValueError(
                f"analyzer is {analyzer!r}, expected one of {', '.join(ANALYZERS)} or a function"
            )
        check_size(vocab_size)
        self.analyzer = analyzer
        counts = Counter(word for text in texts for word in self._words(text))
        words = [word for word in by_frequency(counts) if word not in SPECIAL]
        if not words:
            raise ValueError(f"X has no words: all of its {len(texts)} texts are empty")
        self.vocabulary = Vocabulary([*SPECIAL, *words[: vocab_size - len(SPECIAL)]])

    def read(self, texts: Texts) -> Data:
        """Return texts as ids, with `UNK` for words that are not known."""
        number = self.vocabulary.id
        rows = [[max(UNK, number(word)) for word in self._words(text)] for text in texts]
        return Data(Encoded.from_rows(rows, [0] * len(rows)))

    def _words(self, text: Any) -> Sequence[str]:
        if not isinstance(text, str):
            return list(text)
        analyze = self.analyzer if callable(self.analyzer) else ANALYZERS[self.analyzer]
        return analyze(text)


class NumberReader:
    """Reads sequences of numbers and scales them.

    Attributes
    ----------
    size : F, the numbers of a step.
    table : whether they were a table in `fit`.
    mean, scale : float64 [F]; the result is (X - mean) / scale.
    """

    def __init__(self, numbers: Numbers, standardize: bool, dtype: DTypeLike) -> None:
        values = numbers.values
        self.size, self.table, self.dtype = values.shape[1], numbers.table, np.dtype(dtype)
        self.mean, self.scale = np.zeros(self.size), np.ones(self.size)
        if standardize:
            self.mean = values.mean(axis=0, dtype=np.float64)
            scale = values.std(axis=0, dtype=np.float64)
            self.scale = np.where(scale > 0, scale, 1.0)

    def read(self, numbers: Numbers) -> Data:
        """Return scaled sequences; ValueError for another F, or numbers too large for the dtype."""
        values, lengths, _ = numbers
        if values.shape[1] != self.size:
            raise ValueError(
                f"X has {values.shape[1]} features a step, expected {self.size} as in fit"
            )
        with np.errstate(over="ignore"):
            scaled = ((values - self.mean) / self.scale).astype(self.dtype)
        assert_all_finite(scaled, input_name="X")
        rows = np.arange(len(scaled), dtype=np.int32)
        return Data(Encoded.from_lengths(rows, lengths, np.zeros(len(lengths), np.int64)), scaled)


class Numbers(NamedTuple):
    """Sequences of numbers."""

    values: Array  # [W, F], all steps, one sequence after another
    lengths: NDArray[np.int64]  # [N]
    table: bool = False  # whether X was a table [N, T]


def find_texts(X: Any) -> Texts | None:
    """Return the rows of X if they are strings or lists of words, else None.

    Raises ValueError if X is a string itself or a column of a table, or only some rows are texts.
    """
    if isinstance(X, (str, bytes)):
        raise ValueError(f"X is a {type(X).__name__}, expected a list of texts")
    if not _is_list(X):
        _refuse_column(X)
        return None
    rows = list(X)
    kinds = [_is_text(row) for row in rows]
    if True not in kinds:
        return None
    if False in kinds:
        at = kinds.index(False)
        raise ValueError(f"X[{at}] is {rows[at]!r:.50}, but other rows of X are texts")
    return rows


def find_numbers(X: Any, estimator: Any, learned: NumberReader | None = None) -> Numbers:
    """Return X as sequences of numbers.

    X is [N, T, F], a table [N, T], or a list of arrays [T_i, F] or [T_i]. In `fit`, without a
    `learned` reader, a table sets the estimator's ``n_features_in_``; later tables must fit it.
    Raises TypeError or ValueError if X has no rows, numbers that are not finite or not real, or
    sequences that differ in the numbers of a step.
    """
    kinds: Any = (np.float64, np.float32)
    if _is_list(X):
        X = list(X)
        if not X:
            raise ValueError("X has no rows, expected at least one")
        if np.ndim(X[0]) and not _is_rectangle(X):
            numbers = _concatenate(X)
            name = type(estimator).__name__
            assert_all_finite(numbers.values, input_name="X", estimator_name=name)
            return numbers
    elif getattr(X, "ndim", 2) == 3:
        X = check_array(X, dtype=kinds, allow_nd=True, estimator=estimator, input_name="X")
        N, T, F = X.shape
        if not T * F:
            raise ValueError(f"X has shape {X.shape}, expected at least one step and one feature")
        return Numbers(X.reshape(N * T, F), np.full(N, T))
    if learned is None or learned.table:
        X = validate_data(estimator, X, reset=learned is None, dtype=kinds)
    else:
        X = check_array(X, dtype=kinds, estimator=estimator, input_name="X")
    N, T = X.shape
    return Numbers(X.reshape(N * T, 1), np.full(N, T), table=True)


def _concatenate(rows: list[Any]) -> Numbers:
    """Return ragged rows as sequences."""
    arrays: list[Array] = []
    for n, row in enumerate(rows):
        array = np.asarray(row)
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2):
            raise ValueError(
                f"X[{n}] has shape {array.shape} and dtype {array.dtype}, "
                "expected numbers of shape (steps,) or (steps, features)"
            )
        array = array[:, None] if array.ndim == 1 else array
        if not array.size:
            raise ValueError(f"X[{n}] has shape {np.shape(row)}, expected at least one step")
        arrays.append(array)
        if array.shape[1] != arrays[0].shape[1]:
            raise ValueError(
                f"X[{n}] has {array.shape[1]} features a step, X[0] has {arrays[0].shape[1]}"
            )
    values = np.concatenate(arrays)
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    return Numbers(values, np.array([len(array) for array in arrays], dtype=np.int64))


def _is_list(X: Any) -> bool:
    """Whether X is a list of rows, not an array of two or three dimensions."""
    return isinstance(X, (list, tuple)) or (hasattr(X, "__iter__") and getattr(X, "ndim", 0) == 1)


def _is_text(row: Any) -> bool | None:
    """Whether a row is a text or a list of words; None for an empty list, which may be either."""
    if isinstance(row, str):
        return True
    if not isinstance(row, (list, tuple)) and getattr(row, "ndim", 0) != 1:
        return False
    return all(isinstance(word, str) for word in row) if len(row) else None


def _is_rectangle(X: list[Any]) -> bool:
    """Whether X is a table as a list of lists of equal length."""
    return all(
        isinstance(row, (list, tuple)) and len(row) == len(X[0]) and not any(map(np.ndim, row))
        for row in X
    )


def _refuse_column(X: Any) -> None:
    shape: Any = getattr(X, "shape", ())
    if len(shape) == 2 and shape[1] == 1 and shape[0]:
        if isinstance(np.asarray(X[:1]).ravel()[0], str):
            raise ValueError(f"X has shape {shape}, expected one dimension as it holds texts")
