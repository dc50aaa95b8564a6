"""What the kernels do not do stays Keras's own, to the last bit, and `report` says why."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from twice import KINDS, MASKS, TORCH, I, N, T, U, array, check_refused, make, randomize

import fastlstm.keras as fk

REASONS = {
    "activation is gelu": {"activation": "gelu"},
    "recurrent_activation is softplus": {"recurrent_activation": "softplus"},
    "an activation is a function of the user's": {"activation": lambda x: keras.ops.tanh(x)},
    "dtype float16": {"dtype": "mixed_float16"},
    "use_cudnn is True": {"use_cudnn": True},
}


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("why", REASONS)
def test_hook_refuses_options(kind: str, why: str) -> None:
    options = dict(REASONS[why])
    if why == "use_cudnn is True" and not TORCH:
        with fk.enabled(), pytest.raises(ValueError, match="use_cudnn=True"):
            make(kind, **options)(array(N, T, I))
        return
    if callable(options.get("activation")):
        options["activation"].__name__ = "tanh"
    check_refused(lambda: make(kind, **options), array(N, T, I), why=why)


@pytest.mark.parametrize("kind", KINDS)
def test_hook_refuses_recurrent_dropout(kind: str) -> None:
    check_refused(
        lambda: make(kind, recurrent_dropout=0.3, seed=1),
        array(N, T, I),
        training=True,
        why="recurrent dropout",
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_hook_refuses_a_dropout_mask_for_each_gate(kind: str) -> None:
    def build() -> Any:
        cell = getattr(layers, f"{kind}Cell")(U, dropout=0.5, implementation=1, seed=1)
        layer = layers.RNN(cell)
        layer.build((N, T, I))
        return randomize(layer)

    why = "dropout with implementation=1"
    check_refused(build, array(N, T, I), training=True, why=why)


class Own(layers.LSTMCell):
    """A cell that may do anything."""


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (lambda: Own(U), "the cell is of class Own"),
        (
            lambda: layers.StackedRNNCells([layers.LSTMCell(U), layers.LSTMCell(U)]),
            "the cell is of class StackedRNNCells",
        ),
    ],
)
def test_hook_refuses_other_cells(cell: Any, why: str) -> None:
    def build() -> Any:
        layer = layers.RNN(cell())
        layer.build((N, T, I))
        return randomize(layer)

    check_refused(build, array(N, T, I), why=why)


def test_hook_refuses_a_cell_of_another_dtype() -> None:
    def build() -> Any:
        layer = layers.RNN(layers.SimpleRNNCell(U, dtype="float64"), dtype="float32")
        layer.build((N, T, I))
        return randomize(layer)

    check_refused(build, array(N, T, I), why="dtype float32 with a cell of float64")


@pytest.mark.parametrize("kind", ["LSTM", "SimpleRNN"])
def test_hook_refuses_inputs(kind: str) -> None:
    mask = np.array(MASKS["holes"])[:1]
    why = "a mask of shape (1, 5)"
    check_refused(lambda: make(kind), array(N, T, I), mask=mask, why=why)


def test_hook_refuses_an_empty_batch() -> None:
    if TORCH:
        check_refused(lambda: make("LSTM"), array(0, T, I), why="an empty input")


def test_hook_leaves_errors_to_keras() -> None:
    """They are those that Keras raises, word for word."""
    words = []
    for x, states in ((array(N, T, I + 1), None), (array(N, T, I), [array(N, U + 1)] * 2)):
        layer = make("LSTM")
        for switch in (fk.disable, fk.enable):
            switch()
            with pytest.raises(Exception, match=".") as caught:
                layer(keras.ops.convert_to_tensor(x), initial_state=states)
            words.append((caught.type, str(caught.value)))
    fk.disable()
    assert words[0] == words[1]
    assert words[2] == words[3]
    assert not fk.report().taken


def test_hook_leaves_symbolic_calls() -> None:
    layer, x = make("LSTM", return_sequences=True), keras.KerasTensor((None, T, I))
    with fk.enabled():
        assert layer(x).shape == (None, T, U)
        assert not fk.report().refused, "Keras asks for the shape alone"
        with np.errstate(all="ignore"):  # of what happens to be in memory
            spec = keras.src.backend.compute_output_spec(layer.call, x)
        assert spec.shape == (None, T, U)
    found = fk.report()
    assert not found.taken
    assert {why for _, why in found.refused} == {"a symbolic call"}
