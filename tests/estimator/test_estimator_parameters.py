"""Every parameter of every estimator with a wrong type and a wrong value is told by its name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from fastlstm.sklearn import LSTMClassifier, LSTMForecaster, LSTMRegressor

RNG = np.random.default_rng(0)
GIVEN: dict[Any, tuple[Any, ...]] = {
    LSTMClassifier: (["a b", "c d"] * 4, [0, 1] * 4),
    LSTMRegressor: (RNG.normal(size=(8, 3)), np.arange(8.0)),
    LSTMForecaster: (RNG.normal(size=80),),
}
SMALL: dict[str, Any] = {"hidden_size": 4, "epochs": 1, "random_state": 0}
# A value that is impossible. A parameter that takes words, or True or False, has none.
OUT_OF_RANGE: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "num_layers", "batch_size", "horizon", "context", "season",
                     "vocab_size", "embedding_dim", "max_length", "n_threads", "pretrain_epochs",
                     "pretrain_window"), 0),
    **dict.fromkeys(("lr", "weight_decay", "clip", "average", "dropout", "embedding_dropout",
                     "word_dropout", "validation_fraction", "epochs", "patience", "verbose",
                     "random_state", "delta"), -1),
    **dict.fromkeys(("low", "high"), float("inf")),
    "average": 1.0, "quantiles": [0.5, 1.5], "class_weight": "even", "vectors": "no such file",
}  # fmt: skip
WORDS = ("cell", "pooling", "optimizer", "schedule", "truncate", "dtype", "precision", "loss",
         "parts", "analyzer")  # fmt: skip
FLAGS = ("bidirectional", "standardize", "standardize_targets", "freeze_vectors", "warm_start",
         "calendar", "pretrain")  # fmt: skip


def cases(values: dict[str, Any]) -> list[Any]:
    return [
        pytest.param(kind, name, values[name], id=f"{kind.__name__}-{name}")
        for kind in GIVEN
        for name in kind().get_params()
        if name in values
    ]


def refused(kind: Any, name: str, value: Any) -> str:
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        kind(**{**SMALL, name: value}).fit(*GIVEN[kind])
    return str(caught.value)


def test_no_parameter_is_forgotten() -> None:
    for kind in GIVEN:
        assert set(kind().get_params()) <= {*OUT_OF_RANGE, *WORDS, *FLAGS}


@pytest.mark.parametrize(("kind", "name", "value"), cases(OUT_OF_RANGE))
def test_impossible_values(kind: Any, name: str, value: Any) -> None:
    told = refused(kind, name, value)
    assert name in told or name == "vectors"  # whose file is named
    if not isinstance(value, list):
        assert str(value) in told
    if name != "vectors":
        assert "expected" in told or "must be" in told


@pytest.mark.parametrize(("kind", "name", "value"), cases(dict.fromkeys(WORDS, "other")))
def test_unknown_words(kind: Any, name: str, value: str) -> None:
    assert refused(kind, name, value).startswith(f"{name} is 'other', expected ")


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


WRONG_TYPES = {**OUT_OF_RANGE, **dict.fromkeys((*WORDS, *FLAGS))}


@pytest.mark.parametrize(("kind", "name", "value"), cases(dict.fromkeys(WRONG_TYPES, Odd())))
def test_wrong_types(kind: Any, name: str, value: Odd) -> None:
    told = refused(kind, name, value)
    assert name in told
    assert "expected" in told or "must be" in told


@pytest.mark.parametrize(("kind", "name", "value"), cases(dict.fromkeys(FLAGS, "no")))
def test_a_text_is_neither_true_nor_false(kind: Any, name: str, value: str) -> None:
    assert refused(kind, name, value) == f"{name} is 'no', expected True or False"


@pytest.mark.parametrize("kind", GIVEN)
def test_numbers_of_numpy_are_numbers(kind: Any) -> None:
    given = {"hidden_size": np.int64(4), "epochs": np.int32(1), "lr": np.float32(0.01),
             "batch_size": np.int16(4), "dropout": np.float64(0), "random_state": np.int64(3),
             "verbose": False, "n_threads": np.int64(1)}  # fmt: skip
    kind(**given).fit(*GIVEN[kind])
