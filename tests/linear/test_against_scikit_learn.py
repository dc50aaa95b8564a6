"""The whole classifier against the same one made of scikit-learn's parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from linear_texts import draw

from fastlstm.linear import BagOfNgrams, LinearTraining, NgramOptions, TokenRows
from fastlstm.linear.weighting import weigh
from fastlstm.text.marks import tokens_with_marks

sklearn_text = pytest.importorskip("sklearn.feature_extraction.text")


def idf(x: Any) -> np.ndarray:
    """The factor of each column of counts, as `scales_of` has it."""
    N, df = x.shape[0], np.asarray((x > 0).sum(0)).ravel()
    return (np.log((1 + N) / (1 + df)) + 1) ** 1.5


def by_scikit_learn(texts: list[str], labels: np.ndarray, classes: int, others: list[str]) -> Any:
    """Logits of other texts, as the documentation of the weights says."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import normalize

    words = sklearn_text.CountVectorizer(
        ngram_range=(1, 3), tokenizer=tokens_with_marks, token_pattern=None, binary=True
    )
    x = words.fit_transform(texts).astype(float)
    df = np.asarray(x.sum(0)).ravel()
    ratios = []
    for k in range(classes):
        p = 1 + np.asarray(x[labels == k].sum(0)).ravel()
        q = 2 + df - p
        ratios.append(np.log((p / p.sum()) / (q / q.sum())))
    scale = sparse.diags(idf(x) * (1 + np.sqrt(np.mean(np.square(ratios), 0))))
    chars = sklearn_text.TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2, lowercase=False,
        use_idf=False, norm=None,
        preprocessor=lambda s: " ".join(t for t in tokens_with_marks(s) if len(t) > 1),
    )  # fmt: skip
    c = chars.fit_transform(texts)
    of_chars = sparse.diags(idf(c))
    both = [normalize(x @ scale), normalize(c @ of_chars)]
    z = [words.transform(others).astype(float) @ scale, chars.transform(others) @ of_chars]
    z = [normalize(part) for part in z]
    found = []
    for k in [1] if classes == 2 else range(classes):
        model = LogisticRegression(C=10, solver="liblinear", dual=True, tol=1e-6, max_iter=9999)
        model.fit(sparse.hstack(both), labels == k)
        found.append(model.decision_function(sparse.hstack(z)))
    return found[0] if classes == 2 else np.stack(found, 1)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_logits_are_those_of_scikit_learn(classes: int) -> None:
    texts, labels = draw(200, classes)
    others, _ = draw(50, classes, seed=1)
    others += ["", "zzzz qqqq", "!"]
    options = NgramOptions(tolerance=1e-8)
    model = BagOfNgrams.fit(TokenRows.from_texts(texts), labels, classes, options)
    expected = by_scikit_learn(texts, labels, classes, others)
    np.testing.assert_allclose(model.logits(TokenRows.from_texts(others)), expected, atol=5e-3)


def test_the_default_is_near_enough() -> None:
    """The objective is within a thousandth of its minimum."""
    texts, labels = draw(400)
    rows, found = TokenRows.from_texts(texts), []
    for tolerance in (NgramOptions().tolerance, 1e-8):
        training = LinearTraining(rows, labels, 2, NgramOptions(tolerance=tolerance))
        model = training.fit()
        x, w = weigh(training.counts, model.scales), model.weights.astype(float)
        logits = np.add.reduceat(x.values * w[x.columns, 0], x.offsets[:-1]) + model.intercept
        loss = np.logaddexp(0, -np.where(labels == 1, 1, -1) * logits).sum()
        found.append(float((w * w).sum() / 2 + model.intercept[0] ** 2 / 2 + 10 * loss))
    assert found[1] <= found[0] <= 1.001 * found[1]
