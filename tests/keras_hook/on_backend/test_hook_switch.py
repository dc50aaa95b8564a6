"""Switching the hook on and off, and what is counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from twice import I, N, T, array, make

import fastlstm as fl
import fastlstm.keras as fk

CLASSES = (layers.RNN, layers.LSTM, layers.GRU, layers.SimpleRNN, layers.Bidirectional)


def methods() -> list[dict[str, Any]]:
    """All that the classes have, to be compared by identity."""
    return [dict(vars(c)) for c in CLASSES]


def is_on() -> bool:
    fk.clear_report()
    make("LSTM")(array(N, T, I))
    return bool(fk.report().taken)


def test_disable_restores() -> None:
    before = methods()
    for _ in range(2):
        fk.enable()
        fk.enable()
        assert is_on()
        assert methods() != before
        fk.disable()
        assert methods() == before
        assert not is_on()
    fk.disable()
    assert methods() == before


def test_enabled_blocks_nest() -> None:
    before = methods()
    with fk.enabled():
        with fk.enabled():
            assert is_on()
        assert is_on()
        fk.disable()
        assert is_on(), "the block is still open"
    assert methods() == before
    fk.enable()
    with fk.enabled():
        assert is_on()
    assert is_on(), "enable was called"
    fk.disable()
    assert methods() == before


@pytest.mark.parametrize("switch", [fk.enable, lambda: fk.enabled().__enter__()])
def test_enable_on_another_backend(switch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = methods()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="on its jax backend, expected torch or numpy.*KERAS_"):
        switch()
    assert methods() == before


def test_loads_on_first_use() -> None:
    assert fl.keras is fk


def test_enabled_ends_with_an_error() -> None:
    before = methods()
    with pytest.raises(KeyError), fk.enabled():
        raise KeyError
    assert methods() == before


def test_disable_beside_another_hook() -> None:
    """Who wrapped our method keeps his own: ours steps aside, also when the hook is on again."""
    before = vars(layers.LSTM)["inner_loop"]
    fk.enable()
    ours, calls = vars(layers.LSTM)["inner_loop"], []

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(self)
        return ours(self, *args, **kwargs)

    layers.LSTM.inner_loop = wrapper
    try:
        fk.disable()
        assert not is_on()
        assert len(calls) == 1
        with fk.enabled():
            make("LSTM", activation="gelu")(array(N, T, I))
        assert list(fk.report().refused.values()) == [1]
        assert len(calls) == 2
        assert vars(layers.LSTM)["inner_loop"] is wrapper
    finally:
        layers.LSTM.inner_loop = before


def test_enabled_in_threads() -> None:
    """Blocks that overlap in threads: each call inside one is taken, and all are counted."""
    before, together = methods(), Barrier(4)
    made = [make("GRU") for _ in range(4)]
    wanted = keras.ops.convert_to_numpy(made[0](array(N, T, I)))

    def work(layer: Any) -> list[Any]:
        together.wait()
        found = []
        for _ in range(20):
            with fk.enabled():
                found.append(keras.ops.convert_to_numpy(layer(array(N, T, I))))
        return found

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, made):
            for y in found:
                np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-5)
    assert methods() == before
    assert fk.report() == fk.Report({"GRU": 80}, {})


def test_report_counts() -> None:
    class Mine(layers.LSTM):
        """A subclass is taken as its base is, under its own name."""

    with fk.enabled():
        for _ in range(2):
            Mine(3)(array(N, T, I))
        layers.LSTM(3, activation="gelu")(array(N, T, I))
    found = fk.report()
    assert found.taken == {"Mine": 2}
    assert found.refused == {("LSTM", "activation is gelu"): 1}
    assert repr(found) == (
        "fastlstm.keras: 2 calls taken, 1 refused\n"
        "  taken    2 of Mine\n"
        "  refused  1 of LSTM: activation is gelu"
    )
    fk.clear_report()
    assert fk.report() == ({}, {})
    assert found.taken, "a report does not change"
