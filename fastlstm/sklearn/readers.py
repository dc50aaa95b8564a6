"""The input of an estimator as sequences: texts, words, tables and ragged arrays.

A reader holds what `fit` learns about the input: the vocabulary, or the size and scale of numbers.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from fastlstm.column_names import as_rows, check_order, names_of
from fastlstm.column_types import as_array, as_floats, refuse_times
from fastlstm.counts import count_of
from fastlstm.files.naming import named_path
from fastlstm.kernels.masked import refuse_masked
from fastlstm.linear import TokenRows
from fastlstm.nn.module import Array
from fastlstm.sklearn.data import Data
from fastlstm.sklearn.finite import ANY_TYPE, check_finite, finite_floats
from fastlstm.sklearn.scale import mean_and_scale
from fastlstm.text import UNK, Encoded, Vocabulary
from fastlstm.text.marks import tokens_with_marks
from fastlstm.text.token_list import by_frequency
from fastlstm.text.tokenizer import CHOICES, WORD, WORD_1, choose_analyzer, tokenize
from fastlstm.text.vocabulary import SPECIAL, check_size
from fastlstm.text.word_vectors import read_word_vectors, vectors_of_mapping
from fastlstm.train.classifier.vectors import FirstVectors

Analyzer = str | Callable[[str], Sequence[str]]
Texts = list[Any]  # each a string, or a list of words

# What the analyzers were before version 2 of `tokenize`, for readers that were pickled then.
EARLIER: dict[str, Analyzer] = {"word": WORD_1, "char": list}


class TextReader:
    """Reads texts as word ids, with a `vocabulary` of the most frequent words.

    `rule` is the analyzer, in place of "auto" the one that suits the texts unless it is given.

    Parameters are those of `LSTMClassifier`, and the texts of `find_texts`. Raises ValueError if
    the analyzer is unknown, or there are no words. A word of a text with a weight counts so much.
    The words that are `known` come first, however many there are.
    """

    def __init__(
        self, texts: Texts, analyzer: Analyzer, vocab_size: int, weights: Array | None = None,
        known: Sequence[str] = SPECIAL, rule: Analyzer | None = None,
    ) -> None:  # fmt: skip
        if not callable(analyzer) and analyzer not in CHOICES:
            raise ValueError(
                f"analyzer is {analyzer!r}, expected one of {', '.join(CHOICES)} or a function"
            )
        check_size(vocab_size)
        self.analyzer = analyzer
        self.rule = rule or _rule(texts, analyzer)
        counts = self._counts(texts, weights)
        words = by_frequency({word: n for word, n in counts.items() if word not in SPECIAL})
        if not words:
            left = f"nothing is left of its {count_of(len(texts), 'text')}"
            raise ValueError(f"X has no words: {left}")
        before = set(known)
        new = [word for word in words if word not in before]
        self.vocabulary = self._numbered([*known, *new[: max(0, vocab_size - len(known))]])

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "rule" not in state:
            analyzer = state["analyzer"]
            state["rule"] = analyzer if callable(analyzer) else EARLIER[analyzer]
        self.__dict__.update(state)

    def _numbered(self, words: Sequence[str]) -> Vocabulary:
        return Vocabulary(words, WORD if callable(self.rule) else self.rule)

    def pretrained(self, vectors: Any, fill: int) -> FirstVectors:
        """Return the `vectors` of the words, of a file or a mapping.

        Their words that the texts lack fill the vocabulary up to `fill` entries. Errors as of
        `read_word_vectors` and `vectors_of_mapping`; also ValueError if no word has one.
        """
        words = self.vocabulary.words
        asked: Any = (words[len(SPECIAL) :], max(0, fill - len(words)), self._words)
        if isinstance(vectors, (str, os.PathLike)):
            known = read_word_vectors(named_path(vectors, "vectors"), *asked)
        elif isinstance(vectors, Mapping):
            known = vectors_of_mapping(vectors, *asked)
        else:
            kind = type(vectors).__name__
            raise TypeError(f"vectors is a {kind}, expected a file or a mapping of words to arrays")
        self.vocabulary = self._numbered([*words, *known.extra])
        return FirstVectors.of(self.vocabulary.words, known)

    def add_words_of(self, texts: Texts, most: int) -> None:
        """Let words that only these texts have follow, the most frequent first, up to `most`."""
        known = self.vocabulary.words
        counts, before = self._counts(texts, None), {*known, *SPECIAL}
        new = by_frequency({word: n for word, n in counts.items() if word not in before})
        self.vocabulary = self._numbered([*known, *new[: max(0, most - len(known))]])

    def read(self, texts: Texts) -> Data:
        """Return texts as ids, with `UNK` for words that are not known."""
        number = self.vocabulary.id
        rows = [[max(UNK, number(word)) for word in self._words(text)] for text in texts]
        return Data(Encoded.from_rows(rows, [0] * len(rows)))

    def whole(self, texts: Texts) -> TokenRows:
        """Return texts with all their words for a linear part, and the marks between them."""
        if callable(self.rule):
            return TokenRows.from_lists(map(self._words, texts))
        cut = partial(tokens_with_marks, analyzer=self.rule)
        return TokenRows.from_lists(cut(t) if isinstance(t, str) else list(t) for t in texts)

    def _counts(self, texts: Texts, weights: Array | None) -> Counter[str]:
        if weights is None:
            return Counter(word for text in texts for word in self._words(text))
        counts: Counter[str] = Counter()
        for text, weight in zip(texts, weights.tolist(), strict=True):
            for word in self._words(text):
                counts[word] += weight  # a float
        return counts

    def _words(self, text: Any) -> Sequence[str]:
        if not isinstance(text, str):
            return list(text)
        return _cut(self.rule, text) if callable(self.rule) else tokenize(text, self.rule)


def _cut(analyzer: Callable[[str], Iterable[str]], text: str) -> list[str]:
    """Return the words that an analyzer of the user's makes of a text, checked."""
    found = analyzer(text)
    words: list[Any] = list(found) if isinstance(found, Iterable) else [found]
    wrong = [word for word in words if not isinstance(word, str)]
    if wrong:
        raise TypeError(
            f"analyzer gave {wrong[0]!r:.50} for {text!r:.50}, expected a list of strings"
        )
    return words


def _rule(texts: Texts, analyzer: Analyzer) -> Analyzer:
    """Return an analyzer, in place of "auto" the one that suits the texts."""
    if callable(analyzer):
        return analyzer
    return choose_analyzer((text for text in texts if isinstance(text, str)), analyzer)


class NumberReader:
    """Reads sequences of numbers and scales them.

    Attributes
    ----------
    size : F, the numbers of a step.
    table : whether they were a table in `fit`.
    names : of the numbers, if the sequences of `fit` had columns.
    mean, scale : float64 [F]; the result is (X - mean) / scale. With `weights` of the sequences
        they are those of the steps so weighted.
    """

    names: tuple[str, ...] = ()  # also of what was pickled before there were any

    def __init__(
        self, numbers: Numbers, standardize: bool, dtype: DTypeLike, weights: Array | None = None
    ) -> None:
        values = numbers.values
        self.size, self.table, self.dtype = values.shape[1], numbers.table, np.dtype(dtype)
        self.names = numbers.names
        self.mean, self.scale = np.zeros(self.size), np.ones(self.size)
        if standardize:
            steps = None if weights is None else np.repeat(weights, numbers.lengths)
            self.mean, self.scale = mean_and_scale("X", values, steps)

    def read(self, numbers: Numbers) -> Data:
        """Return scaled sequences.

        Raises ValueError for another F, columns in another order, or numbers too large for the
        dtype.
        """
        values, lengths = numbers.values, numbers.lengths
        if values.shape[1] != self.size:
            raise ValueError(
                f"X has {count_of(values.shape[1], 'feature')} a step, expected {self.size} as in "
                "fit"
            )
        check_order("X", numbers.names, self.names)
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
    names: tuple[str, ...] = ()  # of the numbers of a step, if the sequences have columns


Reader = TextReader | NumberReader


def select(found: Texts | Numbers, rows: NDArray[np.intp]) -> Texts | Numbers:
    """Return the sequences of the given numbers, in that order."""
    if isinstance(found, list):
        return [found[row] for row in rows.tolist()]
    steps = Encoded.from_lengths(
        np.arange(len(found.values)), found.lengths, np.zeros(len(found.lengths), np.int64)
    ).select(rows)
    return found._replace(values=found.values[steps.tokens], lengths=steps.lengths)


def find_texts(X: Any, name: str = "X", *, may_be_empty: bool = False) -> Texts | None:
    """Return the rows of X if they are strings or lists of words, else None.

    Lists that are all empty tell no texts from numbers: they are texts only where they
    `may_be_empty`. Messages call it by its `name`. Raises ValueError if X is a string
    itself, a column of a table or no list, if rows are bytes, or only some are texts.
    """
    if isinstance(X, (str, bytes)):
        raise ValueError(f"{name} is a {type(X).__name__}, expected a list of texts")
    if isinstance(X, (Iterator, Mapping, Set, ValuesView)) and not hasattr(X, "ndim"):
        raise ValueError(f"{name} is a {type(X).__name__}, expected a list of rows or an array")
    X = as_rows(X)
    if not _is_list(X):
        _refuse_column(X, name)
        return None
    rows = list(X)
    at = next((n for n, row in enumerate(rows) if isinstance(row, bytes)), None)
    if at is not None:
        raise ValueError(
            f"{name}[{at}] is {rows[at]!r:.50}, which is bytes, expected text: decode it"
        )
    kinds = [_is_text(row) for row in rows]
    if True not in kinds and not (may_be_empty and rows and set(kinds) == {None}):
        return None
    if False in kinds:
        at = kinds.index(False)
        raise ValueError(f"{name}[{at}] is {rows[at]!r:.50}, but other rows of {name} are texts")
    return rows


def find_numbers(X: Any, estimator: Any, learned: NumberReader | None = None) -> Numbers:
    """Return X as sequences of numbers.

    X is [N, T, F], a table [N, T], or a list of arrays [T_i, F] or [T_i]. In `fit`, without a
    `learned` reader, a table sets the estimator's ``n_features_in_``; later tables must fit it.
    Raises TypeError or ValueError if X has no rows, numbers that are masked, not finite or not
    real, or sequences that differ in the numbers of a step.
    """
    refuse_masked("X", X)
    refuse_times("X", X)
    X = as_rows(X)
    if _is_list(X):
        X = list(X)
        if not X:
            raise ValueError("X has no rows, expected at least one")
        for n, row in enumerate(X):
            refuse_times(f"X[{n}]", row)
        if np.ndim(X[0]) and not _is_rectangle(X):
            return _concatenate(X)
    elif getattr(X, "ndim", 2) == 3:
        X = check_array(X, allow_nd=True, estimator=estimator, input_name="X", **ANY_TYPE)
        N, T, F = X.shape
        if not T * F:
            raise ValueError(f"X has shape {X.shape}, expected at least one step and one feature")
        values = finite_floats("X", X)
        return Numbers(values.reshape(N * T, F), np.full(N, T))
    if getattr(X, "ndim", 2) > 3:
        raise ValueError(f"X has shape {X.shape}, expected (N, steps) or (N, steps, features)")
    _refuse_levels(X)
    columns = names_of(X)
    given = as_array(X) if hasattr(X, "columns") else X
    found = check_array(given, estimator=estimator, input_name="X", **ANY_TYPE)
    if learned is None or learned.table:
        validate_data(estimator, X, reset=learned is None, skip_check_array=True)
    N, T = found.shape
    values = finite_floats("X", found, columns)
    return Numbers(values.reshape(N * T, 1), np.full(N, T), table=True)


def _concatenate(rows: list[Any]) -> Numbers:
    """Return ragged rows as sequences."""
    arrays: list[Array] = []
    names = names_of(rows[0])
    for n, row in enumerate(rows):
        check_order(f"X[{n}]", names_of(row), names, "of X[0]")
        array = as_array(row)
        if array.dtype.kind not in "fiubO" or array.ndim not in (1, 2):
            raise ValueError(
                f"X[{n}] has shape {array.shape} and dtype {array.dtype}, "
                "expected numbers of shape (steps,) or (steps, features)"
            )
        array = as_floats(f"X[{n}]", array, columns=names_of(row))
        array = array[:, None] if array.ndim == 1 else array
        if not array.size:
            raise ValueError(f"X[{n}] has shape {np.shape(row)}, expected at least one step")
        arrays.append(array)
        if array.shape[1] != arrays[0].shape[1]:
            raise ValueError(
                f"X[{n}] has {count_of(array.shape[1], 'feature')} a step, X[0] has "
                f"{arrays[0].shape[1]}"
            )
    values = np.concatenate(arrays)
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)

    def placed(at: tuple[int, ...]) -> tuple[int, ...]:
        row = int(np.searchsorted(np.cumsum(lengths), at[0], side="right"))
        step = at[0] - int(lengths[:row].sum())
        return (row, step, *at[1:]) if np.ndim(rows[row]) > 1 else (row, step)

    check_finite("X", values, names, placed)
    return Numbers(values, lengths, names=names)


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


def _refuse_levels(X: Any) -> None:
    """Raise ValueError for a table with an index of several levels, as of series and times.

    Its rows may be the steps of sequences, as sktime has them, or each a sequence of its own.
    """
    levels = getattr(getattr(X, "index", None), "nlevels", 1)
    if levels > 1:
        raise ValueError(
            f"the index of X has {levels} levels: if a row is a step, give a list of sequences, "
            "such as [one for _, one in X.groupby(level=0, sort=False)], and a target for each; if "
            "it is a sequence of its own, X.reset_index(drop=True)"
        )


def _refuse_column(X: Any, name: str) -> None:
    shape: Any = getattr(X, "shape", ())
    if len(shape) == 2 and shape[1] == 1 and shape[0]:
        if isinstance(np.asarray(X[:1]).ravel()[0], str):
            raise ValueError(f"{name} has shape {shape}, expected one dimension as it holds texts")
