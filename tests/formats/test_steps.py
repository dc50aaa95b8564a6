"""What the layers between recurrent ones are given: checked as of every other layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import (
    ACTIVATIONS,
    Activation,
    AveragePool,
    Conv1D,
    Flatten,
    Masking,
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
