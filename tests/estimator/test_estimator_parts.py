"""LSTMClassifier with a linear part on texts: alone, or joined to the net."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small
from sklearn.base import clone

from fastlstm.models.joined import Join


def topics(N: int = 60) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(0)
    names = ["sea", "sky", "soil"]
    labels = [names[n % 3] for n in range(N)]
    texts = [" ".join([f"{name}{rng.integers(4)}", *(f"w{k}" for k in rng.integers(9, size=4))])
             for name in labels]  # fmt: skip
    return [
        f"{text}!" if name == "sea" else text for text, name in zip(texts, labels, strict=True)
    ], labels


@pytest.mark.parametrize("problem", [opinions, topics])
@pytest.mark.parametrize("held_back", [0.0, 0.3])
def test_both_parts_are_heard(problem: Any, held_back: float) -> None:
    X, y = problem(60)
    net, joined = (
        small(parts=p, epochs=3, validation_fraction=held_back).fit(X, y) for p in ("net", "joined")
    )
    linear = small(parts="linear", validation_fraction=held_back).fit(X, y)
    assert net.linear_ is net.join_ is linear.model_ is None
    assert (linear.n_iter_, joined.n_iter_) == (0, 3)
    for name, value in net.model_.state_dict().items():
        np.testing.assert_array_equal(joined.model_.state_dict()[name], value)
    expected = joined.join_.net * net.decision_function(X)
    expected += joined.join_.linear / linear.join_.linear * linear.decision_function(X)
    np.testing.assert_allclose(joined.decision_function(X), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.exp(joined.predict_log_proba(X)).sum(axis=1), 1)
    assert set(joined.predict(X)) <= set(y)
    if not held_back:
        assert joined.join_.net <= 0.2


def test_the_linear_part_sees_marks_and_whole_texts() -> None:
    X, y = topics()
    with pytest.warns(UserWarning, match="^max_length does nothing here"):
        model = small(parts="linear", max_length=2).fit(X, y)
    p = model.predict_proba(["w1 w2", "w1 w2 !", "w1 w2 w3 sea1 sea2"])[:, 0]
    assert p[0] < min(p[1], p[2])


@pytest.mark.parametrize("kind", ["lists", "char", "function"])
def test_other_analyzers(kind: str) -> None:
    X, y = topics()
    options = {"lists": {}, "char": {"analyzer": "char"}, "function": {"analyzer": str.split}}[kind]
    texts = [text.split() for text in X] if kind == "lists" else X
    model = small(parts="joined", epochs=1, **options).fit(texts, y)
    assert np.mean(model.predict(texts) == np.array(y)) > 0.8


def test_pickles_and_clones_have_both_parts() -> None:
    X, y = topics()
    model = small(parts="joined", epochs=1).fit(X, y)
    same = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(same.predict_proba(X), model.predict_proba(X))
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert isinstance(same.join_, Join)


def test_what_was_pickled_before_there_were_parts_is_a_net() -> None:
    X, y = topics()
    model = small(parts="net", epochs=1).fit(X, y)
    expected = model.predict_proba(X)
    for name in ("parts", "linear_", "join_"):
        del model.__dict__[name]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), expected)


def test_weights_are_those_of_the_linear_part_too() -> None:
    X, y = topics()
    options = {"parts": "linear"}
    plain = small(**options).fit(X, y).decision_function(X)
    equal = small(**options).fit(X, y, np.full(60, 3.0)).decision_function(X)
    np.testing.assert_array_equal(plain, equal)
    weights = np.where(np.arange(60) < 10, 0.0, 1.0)
    some = small(**options).fit(X, y, weights).decision_function(X)
    np.testing.assert_array_equal(some, small(**options).fit(X[10:], y[10:]).decision_function(X))
    assert not np.array_equal(some, plain)


@pytest.mark.parametrize("parts", ["joined", "linear"])
def test_threads_and_a_second_fit_change_nothing(parts: str) -> None:
    X, y = topics()
    options = {"epochs": 1} if parts == "joined" else {}
    found = [small(parts=parts, n_threads=n, **options).fit(X, y) for n in (1, 2)]
    results = [model.decision_function(X) for model in (*found, found[0].fit(X, y))]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_very_few_texts() -> None:
    model = small(parts="joined", epochs=1).fit(["a good one", "a bad one"], [1, 0])
    assert model.predict_proba(["good"]).shape == (1, 2)


def test_numbers_are_for_the_net() -> None:
    X, y = slopes(24)
    model = small(parts="joined", epochs=1).fit(X, y)
    assert model.linear_ is None
    with pytest.raises(ValueError, match="'linear', which is for texts, but X holds numbers"):
        small(parts="linear").fit(X, y)
    with pytest.raises(ValueError, match="parts is 'both', expected one of joined, net, linear"):
        small(parts="both").fit(*opinions(24))


def test_the_linear_part_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    small(parts="linear", verbose=1).fit(*topics())
    assert "linear part: " in capsys.readouterr().out
