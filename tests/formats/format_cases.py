"""Layers of every kind, and Keras as the tests need it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import (
    Activation,
    AveragePool,
    Conv1D,
    Flatten,
    Masking,
    MaskZero,
    Pool,
    PReLU,
    Scale,
    ZeroPad,
)
from fastlstm.nn.attention import DotAttention


def filled(layer: Any, seed: int = 1) -> Any:
    """A layer with random values in every parameter, also where the first ones are zeros."""
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data[...] = rng.normal(0, 0.5, parameter.data.shape)
    return layer


LAYERS: dict[str, Callable[[], Any]] = {
    "lstm": lambda: fl.LSTM(3, 5),
    "lstm of many options": lambda: fl.LSTM(
        3, 6, 2, True, True, 0.25, True, 4, dtype="float64", learn_state=True, recompute=3,
        recurrent_dropout=0.5,
    ),
    "lstm with weight drop": lambda: fl.LSTM(3, 5, weight_drop=0.3, variational=True),
    "lstm without bias, in bfloat16": lambda: fl.LSTM(3, 5, bias=False, precision="bfloat16"),
    "lstm in int8": lambda: fl.LSTM(3, 5, precision="int8"),
    "gru": lambda: fl.GRU(4, 3, 2, bidirectional=True),
    "gru, reset before": lambda: fl.GRU(4, 3, reset_after=False, learn_state=True),
    "rnn": lambda: fl.RNN(2, 3, nonlinearity="relu", batch_first=True),
    "rnn of another": lambda: fl.RNN(2, 3, nonlinearity=("hard_sigmoid", 0.3, 0.4)),
    "lstm of others": lambda: fl.LSTM(2, 3, 2, activation="softsign"),
    "gru of others": lambda: fl.GRU(2, 3, recurrent_activation=("hard_sigmoid", 1 / 6, 0.5)),
    "gru cell of others": lambda: fl.GRUCell(2, 3, activation="relu", reset_after=False),
    "peephole": lambda: fl.PeepholeLSTM(2, 3, 2, bidirectional=True),
    "peephole of others": lambda: fl.PeepholeLSTM(2, 3, recurrent_activation="hard_sigmoid"),
    "lstm cell": lambda: fl.LSTMCell(2, 3, dtype="float64"),
    "gru cell": lambda: fl.GRUCell(2, 3, reset_after=False, precision="bfloat16"),
    "rnn cell": lambda: fl.RNNCell(2, 3, False, "relu"),
    "linear": lambda: fl.Linear(3, 2, precision="int8"),
    "linear without bias": lambda: fl.Linear(3, 2, False, dtype="float64"),
    "embedding": lambda: fl.Embedding(7, 3, 2, sparse=False),
    "softmax": lambda: fl.models.SoftmaxDecoder(3, 9, dtype="float64"),
    "attention": lambda: DotAttention(4, 3),
    "dropout": lambda: fl.Dropout(0.25),
    "dropout of vectors": lambda: fl.Dropout(0.25, axis=-1),
    "sequential": lambda: Sequential(
        {
            "mask": MaskZero(),
            "words": fl.Embedding(9, 3),
            "rnn": Recurrence(fl.GRU(3, 4, bidirectional=True), merge="sum", zero_masked=True),
            "conv": Conv1D(4, 3, 2, dilation=2, padding="causal"),
            "scale": Scale(3),
            "slopes": PReLU(3),
            "act": Activation("elu", 0.5),
            "last": Recurrence(fl.LSTM(3, 2), "last+mean", backwards=True),
        }
    ),
    "sequential of steps": lambda: Sequential(
        [Masking(-1.0), ZeroPad(2, 1), AveragePool(2), Pool("max"), Flatten()]
    ),
    "chain": lambda: fl.nn.Chain(
        [
            fl.nn.Conv1d(1, 8, 6, 2, (2, 1), False, "reflect", context=3),
            fl.nn.Magnitude(), fl.nn.ReLU(),
            fl.nn.Conv1d(4, 5, 3), fl.nn.Tanh(),
            fl.GRU(5, 3, 2), fl.nn.Mean(), fl.Linear(3, 2), fl.nn.Sigmoid(),
        ],
        frame=12,
    ),
    "sequential in sequential": lambda: Sequential([Sequential([fl.Linear(2, 2)]), fl.RNN(2, 2)]),
}  # fmt: skip

MODELS: dict[str, Callable[[], Any]] = {
    "text classifier": lambda: fl.TextClassifier(
        11, 4, 3, 2, True, "mean+max", 0.3, num_outputs=3, bigrams=16
    ),
    "sequence classifier": lambda: fl.models.SequenceClassifier(3, 4, cell="gru", dtype="float64"),
    "sequence autoencoder": lambda: fl.models.SequenceAutoencoder(3, 4, 2, code_size=2, cell="gru"),
    "sequence regressor": lambda: fl.models.SequenceRegressor(
        3, 4, 2, horizon=2, num_targets=2, distribution="quantiles", quantiles=[0.2, 0.7]
    ),
    "sequence tagger": lambda: fl.models.SequenceTagger(
        5, 4, vocab_size=9, embedding_dim=3, crf=True
    ),
    "sequences ahead": lambda: fl.models.HorizonDecoder(
        3, 2, 4, 2, future_size=1, feedback=True, distribution="gaussian"
    ),
    "language model": lambda: fl.LanguageModel(11, 4, 4, 2, tied=True, padding_idx=0),
    "regularised": lambda: fl.LanguageModel(
        11, 4, 6, 2, dropout=0.2, variational=True, weight_drop=0.3, embedding_dropout=0.1
    ),
    "adaptive": lambda: fl.LanguageModel(11, 4, 4, cutoffs=[3, 5], tied=True, cell="gru"),
    "projected": lambda: fl.LanguageModel(11, 4, 6, cell="rnn", projection=3, dropout=0.2),
    "seq2seq": lambda: fl.models.Seq2Seq(9, 8, 6, 6, tied=True),
}


def import_keras() -> Any:
    """Keras on torch's backend, or skip."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("h5py")
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() not in ("torch", "numpy"):
        pytest.skip(f"Keras runs on {keras.backend.backend()}", allow_module_level=True)
    return keras


def same_bits(one: Any, other: Any) -> None:
    """Assert that two layers have the same class, options and parameters."""
    assert type(one) is type(other)
    assert repr(one) == repr(other)
    found, expected = other.state_dict(), one.state_dict()
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].tobytes() == array.tobytes(), name
