"""Streams of layers that do not fit, and of callers that meet in one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import Case, each_cell, make
from together import at_once

from fastlstm.kernels import Weights


def stream_weights(kernel: Kernel, I: int, H: int, dtype: Any = np.float64) -> Weights:
    return make(Case(1, 1, I, H, dtype=np.dtype(dtype)), kernel.cell).weights


@each_cell
def test_layers_of_a_stream_that_do_not_fit(kernel: Kernel) -> None:
    first = stream_weights(kernel, 5, 6)
    wrong: list[tuple[list[Any], str]] = [
        ([], "layers is empty"),
        ([first, stream_weights(kernel, 7, 6)], "layers[1] has input, hidden and output sizes"),
        ([first, stream_weights(kernel, 6, 64)], "layers[1] has input, hidden and output sizes"),
        ([first, stream_weights(kernel, 6, 6, np.float32)], "layers[1] is of float32, expected"),
        ([first._replace(w_hh=np.zeros(64))], "w_hh"),
        ([first._replace(w_ih=np.zeros((64, 5)))], "w_ih"),
        ([first, first._replace(b_ih=np.zeros(2))], "b_ih"),
    ]
    for layers, message in wrong:
        with pytest.raises((TypeError, ValueError), match=re.escape(message)):
            kernel.Stream(layers, 3)
    with pytest.raises(ValueError, match="batch_size is 0"):
        kernel.Stream([first], 0)


@each_cell
def test_a_stream_inside_a_step_has_no_second_caller(kernel: Kernel) -> None:
    """Two threads on one stream: every call is a whole step, or refused by name."""
    w = stream_weights(kernel, 40, 60)
    stream, x = kernel.Stream([w, stream_weights(kernel, 60, 60)], 64), np.ones((64, 40))
    made, refused, wrong = [], [], []

    def call(_: int) -> None:
        for _ in range(25):
            try:
                made.append(stream(x).copy())
                stream.state = stream.state
            except RuntimeError as error:
                (refused if "serves one caller" in str(error) else wrong).append(error)

    at_once(4, call)
    assert not wrong
    assert len(made)
    assert all(np.isfinite(y).all() and y.shape == (64, 60) for y in made)
    stream.reset()
    np.testing.assert_array_equal(
        stream(x), kernel.Stream([w, stream_weights(kernel, 60, 60)], 64)(x)
    )


@each_cell
def test_rows_of_a_step_that_are_none(kernel: Kernel) -> None:
    """What the backends are given: int64, each row once and there."""
    stream = kernel.Stream([stream_weights(kernel, 5, 6)], 3)
    wrong: list[tuple[Any, type[Exception], str]] = [
        ([0, 1], TypeError, "rows is a list"),
        (np.array([0, 1], np.int32), TypeError, "rows is an array of int32"),
        (np.array([[0, 1]]), ValueError, "rows has shape (1, 2), expected"),
        (np.array([0, 3]), IndexError, "rows[1] is 3, expected 0 to 2"),
        (np.array([-1, 0]), IndexError, "rows[0] is -1, expected 0 to 2"),
        (np.array([2, 2]), ValueError, "rows[1] is 2 once more"),
        (np.array([0, 1, 2, 0]), ValueError, "rows[3] is 0 once more"),
        (np.array([0, 1, 2]), ValueError, "x has shape (2, 5), expected (3, 5)"),
    ]
    for rows, error, message in wrong:
        x = np.ones((2 if "x has" in message else len(rows), 5))
        with pytest.raises(error, match=re.escape(message)):
            stream(x, rows)
    assert not any(part.any() for part in stream.state)
    for rows in (np.zeros(0, np.int64), np.arange(3)[::-1]):
        assert stream(np.ones((len(rows), 5)), np.ascontiguousarray(rows)).shape[0] == len(rows)


def flat(y: Any) -> None:
    y.shape = (y.size,)


def of_integers(y: Any) -> None:
    y.dtype = np.int64


def read_only(y: Any) -> None:
    y.flags.writeable = False


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")  # NumPy 2.5 and later
@pytest.mark.parametrize("change", [flat, of_integers, read_only])
@each_cell
def test_what_was_done_to_a_result_changes_no_later_one(
    kernel: Kernel, change: Callable[[Any], None]
) -> None:
    """Memory of a result may serve a later one, but not its shape, type or flags."""
    w, x = stream_weights(kernel, 5, 6), np.ones((3, 5))
    stream, other = kernel.Stream([w], 3), kernel.Stream([w], 3)
    expected = [other(x).copy() for _ in range(6)]
    for step in expected:
        y = stream(x)
        assert y.flags.writeable
        assert (y.shape, y.dtype) == (step.shape, step.dtype)
        np.testing.assert_array_equal(y, step)
        change(y)
        del y


@each_cell
def test_a_result_that_is_kept_is_not_overwritten(kernel: Kernel) -> None:
    stream, x = kernel.Stream([stream_weights(kernel, 5, 6)], 3), np.ones((3, 5))
    kept = [stream(x)[k % 3] for k in range(6)]
    stream.reset()
    for k, row in enumerate(kept):
        np.testing.assert_array_equal(row, stream(x)[k % 3])
