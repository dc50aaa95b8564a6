"""Layers that can never run one after another are refused when they are put in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.formats.kinds import WRITERS
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import Activation, Conv1D, Flatten, Masking, Pool, Scale, ZeroPad
from fastlstm.nn.attention import DotAttention
from fastlstm.nn.chain import Chain, Magnitude, Mean, ReLU

Layers = Callable[[], Any]
SIZES: list[tuple[Layers, str]] = [
    (lambda: [fl.LSTM(3, 4), fl.Linear(5, 2)], "1, Linear, takes 5 features, but 0, LSTM, .* 4"),
    (lambda: [fl.LSTM(3, 4, bidirectional=True), fl.GRU(4, 2)], "1, GRU, takes 4 .* gives 8"),
    (lambda: [fl.LSTM(3, 4, proj_size=2), fl.Linear(4, 2)], "gives 2"),
    (lambda: [Recurrence(fl.GRU(3, 4), "last+max"), fl.Linear(4, 2)], "0, Recurrence, .* gives 8"),
    (lambda: [fl.Linear(3, 4), Activation("relu"), Scale(3)], "2, Scale, .* 1, Activation, .* 4"),
    (lambda: [fl.Embedding(9, 4), fl.RNN(3, 2)], "1, RNN, takes 3 features"),
    (lambda: [Conv1D(3, 4, 2), ZeroPad(1), Conv1D(3, 4, 2)], "2, Conv1D, takes 3 .* gives 4"),
    (lambda: [fl.RNN(3, 5), Magnitude()], "1, Magnitude, takes 4 features, .* gives 5"),
    (lambda: [Chain([fl.Linear(3, 2)]), fl.Linear(3, 2)], "1, Linear, takes 3 .* 0, Chain, .* 2"),
    (lambda: {"a": Sequential({"b": fl.GRU(3, 4)}), "c": fl.RNN(3, 2)}, "c, RNN, .* a.b, GRU, "),
]
STEPS: list[tuple[Layers, str]] = [
    (lambda: [Recurrence(fl.GRU(3, 4), "last"), fl.GRU(4, 2)], "1, GRU, takes steps .* one vector"),
    (lambda: [Masking(), Pool("max"), Mean()], "2, Mean, takes steps .* 1, Pool, before it"),
    (lambda: [fl.GRU(3, 4), Flatten(), Chain([fl.Linear(8, 2)])], "2, Chain, takes steps"),
    (lambda: [fl.Linear(3, 4), fl.Embedding(9, 2)], "1, Embedding, is given no tokens"),
]
TWO = (fl.LSTM(3, 4, rng=0), fl.LSTM(3, 4, rng=1))
NOT_IN_LINE: list[tuple[Layers, str]] = [
    (lambda: fl.LSTM(3, 4, models=2), "is a Stacked, which makes outputs of many models: make"),
    (lambda: fl.together(TWO), "is a Together, which makes outputs of many models: make"),
    (lambda: fl.GRUCell(3, 4), "is a GRUCell, which makes one step"),
    (lambda: DotAttention(4), "is a DotAttention, which takes a query"),
]


@pytest.mark.parametrize(("layers", "told"), SIZES + STEPS)
def test_layers_that_never_fit_are_named_when_they_are_put_in_a_line(
    layers: Layers, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        Sequential(layers())


@pytest.mark.parametrize("ending", WRITERS)
def test_no_file_of_layers_that_never_fit(ending: str, tmp_path: Path) -> None:
    if ending == ".onnx":
        pytest.importorskip("onnx")
    path = tmp_path / f"a{ending}"
    with pytest.raises(ValueError, match="1, Linear, takes 5 features"):
        fl.save([fl.LSTM(3, 4), fl.Linear(5, 2)], path)
    changed = Sequential([fl.LSTM(3, 4), fl.Linear(4, 2)])
    changed.layers["1"] = fl.Linear(5, 2)
    with pytest.raises(ValueError, match="1, Linear, takes 5 features"):
        fl.save(changed, path)
    assert not path.exists()


@pytest.mark.parametrize(("layer", "told"), NOT_IN_LINE)
def test_what_is_not_called_with_one_array_is_no_layer_of_a_line(layer: Layers, told: str) -> None:
    with pytest.raises(TypeError, match=rf"layers\['0'\] {told}"):
        Sequential([layer()])


def test_what_gives_more_than_an_array_is_named() -> None:
    model = Sequential([fl.LanguageModel(9, 4, 5)])
    with pytest.raises(TypeError, match="a LanguageModel gives a tuple, expected an array"):
        model(np.zeros((2, 3), "int64"))


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [fl.GRU(3, 4), Flatten(), fl.Linear(20, 2)],
        lambda: [Pool("mean"), Flatten(), fl.Linear(3, 2), Activation("softmax")],
        lambda: [Recurrence(fl.GRU(3, 4, bidirectional=True), merge="sum"), fl.Linear(4, 2)],
        lambda: [fl.Linear(3, 4), Magnitude(), ReLU(), fl.Dropout(), fl.Linear(2, 2)],
        lambda: [Pool("mean"), Chain([fl.Linear(1, 2)])],
    ],
)
def test_what_fits_runs(layers: Layers) -> None:
    assert len(Sequential(layers())(np.ones((2, 5, 3), "float32"))) == 2


def test_a_layer_that_is_not_known_may_take_and_give_anything() -> None:
    class Wider(fl.Linear):
        def __call__(self, x: Any) -> Any:
            return np.concatenate([super().__call__(x[..., :2])] * 2, axis=-1)

    model = Sequential([fl.Linear(3, 3), Wider(2, 2), fl.Linear(4, 1)])
    assert model(np.ones((2, 3), "float32")).shape == (2, 1)


@pytest.mark.parametrize("lengths", [None, []])
def test_no_rows_are_told_by_the_shape_that_was_given(lengths: Any) -> None:
    model = Sequential([fl.LSTM(3, 4), fl.Linear(4, 2)])
    with pytest.raises(ValueError, match=r"x has shape \(0, 5, 3\), expected at least one row"):
        model(np.zeros((0, 5, 3), "float32"), lengths)
