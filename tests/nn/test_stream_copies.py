"""Streams are copied and pickled, and serve one caller at a time."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import NUMBA
from kinds import layer, parts
from together import at_once

import fastlstm as fl

pytestmark = pytest.mark.pairs

X = np.random.default_rng(0).standard_normal((5, 2, 4)).astype(np.float32)
COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda stream: pickle.loads(pickle.dumps(stream)),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_goes_on_alone(backend_isa: str, kind: str, how: str) -> None:
    module = layer(kind, 4, 7, 2, dtype="float32", learn_state=True)
    module.h_0 = np.full(module.h_0.data.shape, 0.5, np.float32)
    stream = module.stream(2)
    expected = [stream(x).copy() for x in X]
    stream.reset()
    stream(X[0])
    for parameter in module.parameters():  # of the stream's weights, not the module's
        parameter.data[...] = 0
    other = COPIES[how](stream)
    for a, b in zip(other.state, stream.state, strict=True):
        np.testing.assert_array_equal(a, b)
    for t in (1, 2, 3):
        np.testing.assert_array_equal(other(X[t]), expected[t])
    np.testing.assert_array_equal(stream(X[1]), expected[1])
    other.reset()
    np.testing.assert_array_equal(stream(X[2]), expected[2])
    np.testing.assert_array_equal(other(X[0]), expected[0])
    again = COPIES[how](other)
    np.testing.assert_array_equal(again(X[1]), expected[1])


class Noted(fl.nn.recurrent.stream.Stream):
    """A stream of a user's, with something beside it."""

    __slots__ = ("__dict__",)


@pytest.mark.parametrize("how", COPIES)
def test_a_subclass_stays_one(how: str) -> None:
    stream = fl.GRU(4, 3, rng=0).stream(2)
    noted = Noted(stream._find_cell, stream._backend, stream._layers, stream._initial)
    assert type(COPIES[how](noted)) is Noted


@pytest.mark.parametrize("backend", [NUMBA])
def test_of_a_cell_of_ones_own(backend: str) -> None:
    from fastlstm.examples.peephole_lstm import PeepholeLSTM

    module = PeepholeLSTM(4, 3, rng=0)
    stream = module.stream(2)
    stream(X[0])
    for how in COPIES.values():
        other = how(stream)
        for a, b in zip(parts(other.state), parts(stream.state), strict=True):
            np.testing.assert_array_equal(a, b)


def test_states_that_are_no_states() -> None:
    stream = fl.LSTM(4, 3, rng=0).stream(2)
    with pytest.raises(TypeError, match="state is a NoneType, expected a pair"):
        stream.state = None


def test_layers_changed_to_no_longer_fit(backend_isa: str) -> None:
    """Past what assignments refuse: an error before anything is packed."""
    for name, value in [
        ("weight_ih_l1", np.zeros((28, 9), np.float32)),
        ("weight_hh_l1", np.zeros((28, 7))),
        ("weight_hh_l0", np.zeros(64, np.float32)),
    ]:
        lstm = fl.LSTM(4, 7, 2, rng=0)
        vars(lstm)[name] = fl.Parameter(value)
        with pytest.raises((TypeError, ValueError), match=r"layers\[1\]|w_[ih]h"):
            lstm.stream(2)


def test_a_second_thread_is_refused_by_name(native: Any) -> None:
    """Whatever the threads do, each step that is made is a whole one, and counted."""
    stream, made, refused = fl.LSTM(64, 128, rng=0).stream(64), [], []
    x = np.ones((64, 64), np.float32)

    def step(_: int) -> None:
        for _ in range(30):
            try:
                made.append(stream(x)[0].copy())
            except RuntimeError as error:
                refused.append(str(error))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        at_once(4, step)
    finally:
        sys.setswitchinterval(interval)
    assert len(made) + len(refused) == 120
    assert all("serves one caller at a time" in message for message in refused)
    stream.reset()
    expected = [stream(x)[0].copy() for _ in made]
    for row in made:
        assert any(np.array_equal(row, other) for other in expected)
