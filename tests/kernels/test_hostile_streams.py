"""Streams of layers that do not fit, and of callers that meet in one."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import Case, each_cell, make
from together import at_once

from fastlstm.kernels import Weights


def stream_weights(kernel: Kernel, I: int, H: int, dtype: Any = np.float64) -> Weights:  # noqa: E741
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
