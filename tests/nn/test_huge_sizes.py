"""Sizes that no memory holds: the argument is named before an array is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.nn.chain import Chain

HUGE = [1 << 61, 1 << 62, 1 << 63, 10**25]
CASES: dict[str, list[Callable[[int], Any]]] = {
    "input_size": [lambda n: fl.LSTM(n, 2), lambda n: fl.GRUCell(n, 2)],
    "hidden_size": [lambda n: fl.GRU(2, n), lambda n: fl.LSTMCell(2, n)],
    "models": [lambda n: fl.RNN(2, 3, models=n)],
    "in_features": [lambda n: fl.Linear(n, 2)],
    "out_features": [lambda n: fl.Linear(2, n)],
    "num_embeddings": [lambda n: fl.Embedding(n, 2)],
    "embedding_dim": [lambda n: fl.Embedding(2, n)],
    "batch_size": [
        lambda n: fl.LSTM(2, 3).stream(n),
        lambda n: fl.LSTM(2, 3).make_state(n),
        lambda n: fl.LSTM(2, 3, models=2).stream(n),
        lambda n: Chain([fl.Linear(2, 3)]).stream(n),
    ],
    "T": [lambda n: fl.LSTM(2, 3).memory_plan(n, 1)],
    "N": [lambda n: fl.LSTM(2, 3).memory_plan(1, n)],
}
MAKERS = [(name, make) for name, makes in CASES.items() for make in makes]


@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize(("name", "make"), MAKERS, ids=[name for name, _ in MAKERS])
def test_sizes(name: str, make: Callable[[int], Any], size: int) -> None:
    with pytest.raises(ValueError, match=f"^{name} is {size}, expected at most "):
        make(size)


@pytest.mark.parametrize("shape", [(1 << 57, 1), (1, 1 << 57), (1 << 28, 1 << 28)])
def test_inputs_of_one_number(shape: tuple[int, int]) -> None:
    T, N = shape
    one, kinds = np.float32(1), (fl.LSTM(2, 64), fl.GRU(2, 64, models=2))
    for layer, first in zip(kinds, ((), (2,)), strict=True):
        x = np.broadcast_to(one, (*first, T, N, 2))
        for call in (layer, layer.forward):
            with pytest.raises(ValueError, match="^x has shape .*, more numbers than any memory"):
                call(x)
    with pytest.raises(ValueError, match="^x has shape .*, more numbers than any memory"):
        fl.LSTMCell(2, 64)(np.broadcast_to(one, (T * N, 2)))
