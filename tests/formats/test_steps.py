"""What the layers between recurrent ones are given: checked as of every other layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm import nn
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import (
    ACTIVATIONS,
    Activation,
    AveragePool,
    Conv1D,
    Flatten,
    Masking,
    MaskZero,
    Pool,
    PReLU,
    Scale,
    Step,
    ZeroPad,
)

N, T, I = 2, 4, 3
X = np.random.default_rng(0).standard_normal((N, T, I)).astype("float32")
OVER_STEPS = [
    Masking(), Pool("mean"), Pool("max"), ZeroPad(1), AveragePool(2), Conv1D(I, 2, 2),
    Recurrence(fl.GRU(I, 2, rng=0), backwards=True),
]  # fmt: skip
OF_ROWS = [*map(Activation, ACTIVATIONS), Scale(I), PReLU(I), Flatten()]
every = pytest.mark.parametrize(
    "step", [*OVER_STEPS, *OF_ROWS], ids=lambda step: type(step).__name__
)


@every
def test_every_kind_of_array(step: Step) -> None:
    """Lists, whole numbers and other byte orders give what the same numbers in float32 do."""
    numbers = np.round(3 * X)
    expected = step(numbers)
    for same in (
        numbers.tolist(),
        numbers.astype(int),
        numbers.astype(">f4"),
        numbers[:, ::-1][:, ::-1],
    ):
        found = Sequential([step])(same)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@every
@pytest.mark.parametrize(
    ("x", "told"),
    [
        (None, "x is a NoneType, expected a NumPy array of float32"),
        ("x", "x is a str"),
        (X + 1j, "x has dtype complex64"),
        (X.astype(object), "x has dtype object"),
        ([[[1.0]], [[1.0], [2.0]]], "x is a list of unequal lists"),
        (np.array(1, "float32"), r"x has shape \(\)"),
        (X[..., :0], r"x has shape \(2, 4, 0\), expected"),
        (np.ma.masked_less(X, 0), "x masks"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_input(step: Step, x: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        step(x)


@pytest.mark.parametrize("step", OVER_STEPS, ids=lambda step: type(step).__name__)
def test_steps_are_asked_for(step: Step) -> None:
    for wrong in (X[0], X[None]):
        with pytest.raises(ValueError, match=r"x has shape .*, expected \(any, any, "):
            step(wrong)
    with pytest.raises(ValueError, match=r"x has shape \(2, 0, 3\), expected at least one step"):
        step(X[:, :0])


@pytest.mark.parametrize(
    "step", [Scale(I), PReLU(I), Conv1D(I, 2, 2)], ids=lambda step: type(step).__name__
)
def test_one_feature_is_not_spread(step: Step) -> None:
    with pytest.raises(ValueError, match=r"x has shape \(2, 4, 1\), expected \(any, any, 3\)"):
        step(X[..., :1])


def test_no_rows() -> None:
    for step in (*OVER_STEPS[:-1], *OF_ROWS):
        assert step(X[:0]).shape == (0, *step(X).shape[1:])


def test_numbers_of_python_are_rounded_as_of_other_layers() -> None:
    model = Sequential([fl.Linear(I, 2, rng=0), Activation("tanh")])
    third = [[1 / 3] * I]
    np.testing.assert_array_equal(model(third), model(np.array(third, "float32")))


@pytest.mark.parametrize("dtype", ["int64", "float16", None])
def test_dtypes_of_parameters(dtype: Any) -> None:
    for make in (Scale, PReLU):
        with pytest.raises(ValueError, match="dtype is .*, expected float32 or float64"):
            make(I, dtype=dtype)


def test_lengths_need_steps() -> None:
    with pytest.raises(ValueError, match=r"x has shape \(3,\), expected rows of steps"):
        Sequential([Activation("tanh")])(X[0, 0], lengths=[1])


def test_lengths_reach_layers_inside_one_another() -> None:
    layers = [fl.GRU(I, 4, bidirectional=True, rng=0), Pool("mean"), fl.Linear(8, 2, rng=0)]
    expected = Sequential(layers)(X, [1, 3])
    for inside in (
        [Sequential(layers)],
        [Sequential(layers[:1]), *layers[1:]],
        [Sequential([layers[0], Sequential(layers[1:])])],
    ):
        np.testing.assert_array_equal(Sequential(inside)(X, [1, 3]), expected)


def test_a_mask_of_zeros_leaves_lengths_as_they_are() -> None:
    embedding, layer = fl.Embedding(9, I, rng=0), Recurrence(fl.GRU(I, 4, rng=0), "last")
    model = Sequential([MaskZero(), embedding, layer])
    tokens = np.array([[1, 0, 2, 3], [4, 5, 6, 7]])
    short = np.where(np.arange(4) < [[3], [2]], tokens, 0)
    np.testing.assert_array_equal(model(tokens, [3, 2]), model(short))
    numbers = Sequential([Masking(), layer])
    x = X.copy()
    x[0, 1] = 0
    x_short = np.where(np.arange(4)[:, None] < [[[3]], [[2]]], x, 0)
    np.testing.assert_array_equal(numbers(x, [3, 2]), numbers(x_short))


def test_zeros_are_masked_of_tokens_alone() -> None:
    with pytest.raises(TypeError, match="x has dtype float32, expected integers"):
        Sequential([MaskZero(), fl.GRU(I, 2)])(X)
    with pytest.raises(ValueError, match=r"x has shape \(2, 4, 3\), expected tokens \[N,T\]"):
        MaskZero()(X.astype(int))


@pytest.mark.parametrize("layer", [nn.Mean(), fl.models.SequenceTagger(2, 4, input_size=I)])
def test_what_knows_no_masks_is_given_none(layer: Any) -> None:
    model = Sequential([layer])
    assert np.isfinite(model(X)).all()
    with pytest.raises(ValueError, match=f"a {type(layer).__name__} knows no masks"):
        model(X, lengths=[4, 2])
