"""LSTMClassifier inside scikit-learn: searches, pipelines, clones, other processes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import fastlstm as fl

GRID = {"hidden_size": np.array([2, 5]), "cell": ["lstm", "gru"]}


def search(n_jobs: int, X: Any, y: Any) -> Any:
    return GridSearchCV(small(epochs=1, n_threads=1), GRID, cv=2, n_jobs=n_jobs).fit(X, y)


@pytest.mark.parametrize("problem", [opinions, slopes])
def test_grid_search(problem: Any) -> None:
    X, y = problem(24)
    found = search(1, X, y)
    assert len(found.cv_results_["params"]) == 4
    assert found.best_estimator_.get_params()["cell"] == found.best_params_["cell"]
    assert found.predict(X).shape == (24,)


def test_grid_search_in_two_processes_finds_the_same() -> None:
    X, y = opinions(24)
    alone, shared = search(1, X, y), search(2, X, y)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(alone.cv_results_[name], shared.cv_results_[name])


@pytest.mark.parametrize("n_threads", [None, 1])
def test_fits_in_threads_leave_the_process_its_number_of_threads(
    n_threads: int | None, threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fl.set_num_threads(3)
    seen: set[int] = set()
    work = fl.models.SequenceClassifier.forward

    def forward(self: Any, *inputs: Any, **options: Any) -> Any:
        seen.add(fl.get_num_threads())
        return work(self, *inputs, **options)

    monkeypatch.setattr("fastlstm.models.SequenceClassifier.forward", forward)
    X, y = slopes(24)
    model = small(epochs=2, n_threads=n_threads)
    for _ in range(3):
        with parallel_config("threading", n_jobs=4):
            scores = cross_val_score(model, X, y, cv=4)
        assert len(scores) == 4
        assert fl.get_num_threads() == 3
    assert seen == {n_threads or 3}


FORK = """
import sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # "multi-threaded, use of fork": the point
from joblib import parallel_config
import fastlstm as fl
from estimator_data import opinions, small
from test_estimator_tools import search

if __name__ == "__main__":
    fl.set_num_threads(2)
    X, y = opinions(24)
    expected = small(epochs=1, hidden_size=64, batch_size=24).fit(X, y).predict_proba(X)
    alone = search(1, X, y)
    with parallel_config("multiprocessing"):  # which forks
        forked = search(2, X, y)
    assert (forked.predict_proba(X) == alone.predict_proba(X)).all()
    again = small(epochs=1, hidden_size=64, batch_size=24).fit(X, y)
    assert (again.predict_proba(X) == expected).all()
    print("same")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="joblib forks there only")
def test_grid_search_in_forked_processes_after_use() -> None:
    path = f"import sys; sys.path.insert(0, {__file__.rpartition('/')[0]!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", path + FORK], capture_output=True, text=True, timeout=600
    )
    assert done.stdout.strip() == "same", done.stderr


def test_in_a_pipeline() -> None:
    rng = np.random.default_rng(0)
    table, labels = rng.standard_normal((24, 5)) * 1000, np.arange(24) % 2
    scaled = make_pipeline(StandardScaler(), small(epochs=1, standardize=False))
    proba = scaled.fit(table, labels).predict_proba(table)
    by_hand = StandardScaler().fit_transform(table)
    expected = small(epochs=1, standardize=False).fit(by_hand, labels).predict_proba(by_hand)
    np.testing.assert_array_equal(proba, expected)
    texts, opinion = opinions(16)
    shout = FunctionTransformer(lambda texts: [text.upper() for text in texts])
    shouted = make_pipeline(shout, small(epochs=1)).fit(texts, opinion)
    plain = small(epochs=1).fit(texts, opinion)
    np.testing.assert_array_equal(shouted.predict_proba(texts), plain.predict_proba(texts))


def test_clone_has_the_parameters_and_nothing_learned() -> None:
    model = small(epochs=1).fit(*slopes(8))
    other = clone(model)
    assert other.get_params() == model.get_params()
    assert not [name for name in vars(other) if name.endswith("_")]


def test_cross_validation_of_ragged_series() -> None:
    rows, labels = slopes(45)
    predicted = cross_val_predict(small(epochs=15), rows, labels, cv=3)
    assert np.mean(predicted == labels) > 0.9


def test_parameters_are_kept_as_given() -> None:
    given = {"hidden_size": np.int64(3), "analyzer": str.split, "class_weight": {0: 1}}
    model = small(**given)
    for name, value in given.items():
        assert getattr(model, name) is value
