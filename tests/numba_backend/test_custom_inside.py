"""Looking inside cells of one's own: their traces, and their weights by gate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastlstm.custom import custom_cell, sigmoid, tanh

pytestmark = pytest.mark.slow
Number = Any


def forward(n: Number, f: Number, h: Number, p: Number) -> Any:
    n = tanh(n + p * h)
    return (1 - f) * h + f * n, n


def backward(dh: Number, n: Number, f: Number, h: Number, p: Number) -> Any:
    d = dh * f * (1 - n * n)
    return d, dh * (n - h), dh * (1 - f) + d * p, d * h


def mix(f: Number, h: Number) -> Any:
    f = sigmoid(f)
    return f * h, f


def mix_backward(dmixed: Number, df: Number, f: Number, h: Number) -> Any:
    return (df + dmixed * h) * f * (1 - f), dmixed * f


@pytest.fixture(scope="module")
def cell(numba_backend: Any) -> Any:
    return custom_cell(
        "Unit", gates=("f", "n"), params=("p",), keeps=("n",), late=("n",), mix_keeps=("f",),
        mix=mix, mix_backward=mix_backward, forward=forward, backward=backward,
    )  # fmt: skip


def test_what_its_functions_keep_is_shown(cell: Any) -> None:
    layer = cell(3, 5, dtype="float64", rng=np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((6, 4, 3))
    lengths = np.array([6, 0, 2, 5])
    trace = layer.trace(x, lengths=lengths)
    np.testing.assert_array_equal(trace.h, layer(x, lengths=lengths)[0])
    assert set(trace[0].values) == {"f", "n", "h"}
    before = np.concatenate([np.zeros((1, 4, 5)), trace.h[:-1]])
    real = np.arange(6)[:, None] < lengths
    blend = (1 - trace.f) * before + trace.f * trace.n
    np.testing.assert_allclose(trace.h[real], blend[real], atol=1e-12)


def test_its_weights_have_names(cell: Any) -> None:
    layer = cell(3, 5, num_layers=2, rng=np.random.default_rng(0))
    gates = layer.gates(1)
    assert list(gates)[-1] == "p"
    assert np.shares_memory(gates["p"], layer.p_l1.data)
    assert gates["weight_ih_n"].shape == (5, 5)
    built = cell.from_gates([layer.gates(0), layer.gates(1)])
    x = np.random.default_rng(1).standard_normal((6, 4, 3)).astype("float32")
    np.testing.assert_array_equal(built(x)[0], layer(x)[0])
