"""NB-SVM: its features, its formula, its choice on the validation texts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastlstm.text import Encoded
from fastlstm.train.comparison import bag_of_words
from fastlstm.train.comparison.bag_of_words import NBSVM, Ngrams, log_count_ratio, search

pytest.importorskip("sklearn")


def texts(rows: list[list[int]], labels: list[int] | None = None) -> Encoded:
    flat = [word for row in rows for word in row]
    return Encoded.from_lengths(flat, [len(row) for row in rows], labels or [0] * len(rows))


def made_up(count: int, seed: int) -> Encoded:
    """Texts in which the order of two words decides, which single words do not show."""
    rng = np.random.default_rng(seed)
    rows, labels = [], rng.integers(0, 2, count).tolist()
    for label in labels:
        filler = rng.integers(4, 30, rng.integers(2, 9)).tolist()
        at = int(rng.integers(0, len(filler) + 1))
        rows.append([*filler[:at], *((2, 3) if label else (3, 2)), *filler[at:]])
    return texts(rows, labels)


def features(row: list[int]) -> set[tuple[int, ...]]:
    """What a text has, written down plainly."""
    words = {(a,) for a in row if a > 1}
    return words | {(a, b) for a, b in pairwise(row) if a > 1 and b > 1}


ROWS = [[2, 3, 2, 3], [], [5], [1, 4, 1, 5, 6], [7, 0, 7, 7], [6, 5]]


def test_features_are_words_and_pairs_that_are_there() -> None:
    ngrams = Ngrams(texts(ROWS))
    base = 8  # one above the largest id: a word's code is a * base, a pair's a * base + b
    every = set().union(*map(features, ROWS))
    codes = [feature[0] * base + (feature[1] if len(feature) == 2 else 0) for feature in every]
    assert ngrams.codes.tolist() == sorted(codes)
    names = dict(zip(codes, every, strict=True))
    other = [[3, 2], [9, 2, 3], [7, 7, 5, 1, 6, 5], [1, 1]]
    for rows in (ROWS, other):
        x = ngrams.matrix(texts(rows))
        assert x.shape == (len(rows), len(every))
        assert set(x.data.tolist()) <= {1.0}
        for n, row in enumerate(rows):
            found = {names[int(ngrams.codes[column])] for column in x[[n]].indices}
            assert found == features(row) & every


def test_no_pair_reaches_over_the_end_of_a_text() -> None:
    apart, together = texts([[2], [3]]), texts([[2, 3]])
    assert (len(Ngrams(apart)), len(Ngrams(together))) == (2, 3)


def test_log_count_ratio_is_the_formula() -> None:
    from scipy.sparse import csr_matrix

    x = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 1]])
    p, q = np.array([1 + 2, 1 + 1, 1 + 0]), np.array([1 + 0, 1 + 1, 1 + 3])
    expected = np.log((p / p.sum()) / (q / q.sum()))
    found = log_count_ratio(csr_matrix(x), np.array([1, 1, 0, 0, 0]))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_beta_goes_from_naive_bayes_to_the_machine() -> None:
    from dataclasses import replace

    from scipy.sparse import diags
    from sklearn.svm import LinearSVC

    train = made_up(80, 0)
    x = Ngrams(train).matrix(train)
    model = NBSVM.fit(x, train.labels, 0.1)
    scaled = x @ diags(model.ratio)
    machine = LinearSVC(C=0.1, dual=True, random_state=0, max_iter=10_000).fit(scaled, train.labels)
    own, mixed, bayes = (replace(model, beta=beta).decision(x) for beta in (1.0, 0.25, 0.0))
    np.testing.assert_allclose(own, machine.decision_function(scaled), atol=1e-12)
    size = np.abs(machine.coef_).mean()
    np.testing.assert_allclose(bayes, size * (x @ model.ratio) + model.bias, atol=1e-12)
    np.testing.assert_allclose(mixed, 0.25 * own + 0.75 * bayes, atol=1e-12)


def test_pairs_tell_what_words_do_not() -> None:
    train, other = made_up(300, 1), made_up(200, 2)
    found = search(train, made_up(100, 3))
    x = found.ngrams.matrix(other)
    assert found.model.accuracy(x, other.labels) > 0.95
    right = (found.model.decision(x) > 0) == (other.labels == 1)
    assert found.model.accuracy(x, other.labels) == right.mean()
    assert found.seconds > 0
    assert found.search_seconds > 0


def test_the_choice_is_the_best_on_the_validation_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[float, float]] = []
    scores = {(0.01, 0.5): 0.7, (0.1, 0.25): 0.9, (0.1, 0.75): 0.9, (1.0, 1.0): 0.8}

    def accuracy(model: NBSVM, x: Any, labels: Any) -> float:
        assert x.shape[0] == len(labels) == 20  # the validation texts, not those to train on
        tried.append((model.penalty, model.beta))
        return scores.get(tried[-1], 0.5)

    monkeypatch.setattr(NBSVM, "accuracy", accuracy)
    found = search(made_up(40, 0), made_up(20, 1))
    grid = [(p, b) for p in bag_of_words.PENALTIES for b in bag_of_words.BETAS]
    assert tried == grid
    assert (found.model.penalty, found.model.beta, found.accuracy) == (0.1, 0.25, 0.9)


def test_texts_without_words() -> None:
    with pytest.raises(ValueError, match="have no word"):
        search(texts([[1], [0, 1], []], [0, 1, 0]), made_up(4, 0))
