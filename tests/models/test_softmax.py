"""SoftmaxDecoder and softmax_loss: against Linear and cross_entropy."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.models import SoftmaxDecoder, softmax_loss
from fastlstm.nn import Linear, Parameter, cross_entropy

K, V, M = 5, 23, 12


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("shape", [(M,), (3, 4), ()])
def test_it_is_a_linear_layer(bias: bool, shared: bool, shape: tuple[int, ...]) -> None:
    plain = Linear(K, V, bias, dtype="float64")
    weight = Parameter(plain.weight.data.copy()) if shared else None
    ours = SoftmaxDecoder(K, V, bias, weight=weight, dtype="float64")
    ours.weight.data = plain.weight.data
    if bias:
        ours.bias.data = plain.bias.data
    x, d = numbers(*shape, K), numbers(*shape, V, seed=1)
    y, tape = ours.forward(x)
    expected, expected_tape = plain.forward(x)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-13)
    for _ in range(2):  # gradients add up
        dx = ours.backward(tape, d)
        expected_dx = plain.backward(expected_tape, d)
        tape, expected_tape = ours.forward(x)[1], plain.forward(x)[1]
    np.testing.assert_allclose(dx, expected_dx, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.weight.grad, plain.weight.grad, rtol=0, atol=1e-12)
    if bias:
        np.testing.assert_allclose(ours.bias.grad, plain.bias.grad, rtol=0, atol=1e-12)
    own = [name for name, _ in ours.named_parameters()]
    assert own == ["weight", *(["bias"] if bias else [])]
    assert (ours.weight is weight) == shared


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_and_its_gradient(dtype: str) -> None:
    logits = (50 * numbers(3, 4, V)).astype(dtype)
    logits[0, 0] += 1e4  # exp of it is infinite
    targets = np.random.default_rng(2).integers(0, V, (3, 4))
    expected, gradient = cross_entropy(logits.reshape(M, V), targets.reshape(M))
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    plain = logits.copy()
    assert softmax_loss(plain, targets, gradient=False) == pytest.approx(expected, rel=tolerance)
    assert softmax_loss(logits, targets) == pytest.approx(expected, rel=tolerance)
    np.testing.assert_allclose(logits, gradient.reshape(3, 4, V), rtol=0, atol=tolerance)
    assert logits.dtype == dtype


WRONG = [
    (numbers(M, V), np.full(M, V), IndexError, "targets[0] is 23, expected 0 to 22"),
    (numbers(M, V), np.zeros(M), TypeError, "targets has dtype float64"),
    (numbers(M, V), np.zeros((M, 1), int), ValueError, "targets has shape (12, 1), expected (12,)"),
    (numbers(0, V), np.zeros(0, int), ValueError, "at least one element"),
    (numbers(V, M).T, np.zeros(M, int), ValueError, "not a C-contiguous array"),
    ([[1.0]], [0], ValueError, "not a C-contiguous array"),
]


@pytest.mark.parametrize(("z", "targets", "error", "message"), WRONG, ids=[w[3] for w in WRONG])
def test_wrong_losses(z: Any, targets: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        softmax_loss(z, targets)


def test_wrong_decoders() -> None:
    with pytest.raises(ValueError, match=r"weight has shape \(4, 5\), expected \(23, 5\)"):
        SoftmaxDecoder(K, V, weight=Parameter(numbers(4, 5)), dtype="float64")
    with pytest.raises(TypeError, match="weight has dtype float64, expected float32"):
        SoftmaxDecoder(K, V, weight=Parameter(numbers(V, K)))
    with pytest.raises(ValueError, match=r"x has shape \(3, 4\), expected \(any, 5\)"):
        SoftmaxDecoder(K, V, dtype="float64")(numbers(3, 4))
