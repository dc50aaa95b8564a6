"""Lower precision where there is one weight: `Linear`, attention, the softmax decoder."""

from __future__ import annotations

import copy
import tracemalloc
from typing import Any

import numpy as np
import pytest
from cases import Array
from rounded_layers import ROUNDED, assert_near

import fastlstm as fl
from fastlstm import kernels
from fastlstm.kernels.reference.precision import int8_product, quantize, to_bfloat16
from fastlstm.models import SoftmaxDecoder
from fastlstm.nn import precision as of_products
from fastlstm.nn.attention import DotAttention


@pytest.mark.parametrize("features", [7, 400], ids=["by rows", "by BLAS"])
def test_linear_by_the_definition(features: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 50)).astype(np.float32)
    linear = fl.Linear(50, features, rng=0, precision="bfloat16")
    weight, bias = linear.weight.data, linear.bias.data
    y, tape = linear.forward(x)
    expected = to_bfloat16(x) @ to_bfloat16(weight).T + bias
    np.testing.assert_allclose(y, expected, atol=1e-6)
    assert (y != linear_in("float32", linear, x)).any()
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx = linear.backward(tape, dy)
    flat = dy.reshape(-1, features), x.reshape(-1, 50)
    np.testing.assert_allclose(dx, to_bfloat16(dy) @ to_bfloat16(weight), atol=1e-5)
    dw = to_bfloat16(flat[0]).T @ to_bfloat16(flat[1])
    np.testing.assert_allclose(linear.weight.grad, dw, atol=1e-5)
    np.testing.assert_allclose(linear.bias.grad, flat[0].sum(axis=0), atol=1e-5)
    whole = int8_product(quantize(weight), quantize(x)) + bias
    np.testing.assert_array_equal(linear_in("int8", linear, x), whole)
    np.testing.assert_array_equal(linear_in("int8", linear, x[1, 2]), whole[1, 2])


def linear_in(precision: str, linear: Any, x: Array) -> Array:
    other = copy.deepcopy(linear)
    other.precision = precision
    y: Array = other(x)
    return y


def test_attention_is_near(precision: str) -> None:
    attention, rng = DotAttention(6, 7, rng=0), np.random.default_rng(1)
    query, memory = (rng.standard_normal((4, n, 6)).astype(np.float32) for n in (3, 5))
    y, some = attention(query, memory), np.array([5, 2, 0, 3])
    attention.precision = precision
    assert attention.combine.precision == precision
    assert_near(attention(query, memory), y, 0.05)
    # What lies past a row's length has no influence, not on a scale either.
    short = attention(query, memory, some)
    memory[np.arange(5) >= some[:, None]] *= 1000
    np.testing.assert_array_equal(attention(query, memory, some), short)
    np.testing.assert_array_equal(attention(query[1:2], memory[1:2, :2]), short[1:2])


def test_attention_trains_in_bfloat16() -> None:
    rng = np.random.default_rng(1)
    query, memory = (rng.standard_normal((4, n, 6)).astype(np.float32) for n in (3, 5))
    dy, found = rng.standard_normal((4, 3, 7)).astype(np.float32), []
    for precision in ("float32", "bfloat16"):
        attention = DotAttention(6, 7, rng=0, precision=precision)
        _, tape = attention.forward(query, memory)
        found.append([*attention.backward(tape, dy), attention.combine.weight.grad])
    for expected, actual in zip(*found, strict=True):
        assert_near(actual, expected, 0.05)


def test_softmax_decoder_by_the_definition() -> None:
    x = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    for precision in ROUNDED:
        decoder = SoftmaxDecoder(5, 23, rng=0, precision=precision)
        linear = fl.Linear(5, 23, precision=precision)
        linear.load_state_dict(decoder.state_dict())
        np.testing.assert_allclose(decoder(x), linear(x), atol=1e-6)
        if precision == "bfloat16":
            dy = np.random.default_rng(1).standard_normal((6, 23)).astype(np.float32)
            dx = decoder.backward(decoder.forward(x)[1], dy)
            np.testing.assert_allclose(dx, linear.backward(linear.forward(x)[1], dy), atol=1e-5)
            for a, b in zip(decoder.parameters(), linear.parameters(), strict=True):
                np.testing.assert_allclose(a.grad, b.grad, atol=1e-5)


def test_softmax_decoder_rounds_a_part_of_its_weight_at_a_time(precision: str) -> None:
    decoder = SoftmaxDecoder(512, 32_000, rng=0, precision=precision)
    x = np.ones((1, 512), np.float32)
    decoder(x)
    tracemalloc.start()
    try:
        decoder(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < decoder.weight.data.nbytes / 2


@pytest.mark.parametrize("shared", [0, 1 << 62])
def test_products_of_float32_by_either_library(
    shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_products, "SHARED", shared)
    rng = np.random.default_rng(0)
    for n, m, K in ((1, 1, 1), (7, 40, 33), (70, 20, 300)):
        a, b, bias, out = (
            rng.standard_normal(shape).astype(np.float32) for shape in ((n, K), (m, K), m, (n, m))
        )
        exact = a.astype(np.float64) @ b.T.astype(np.float64)
        across = np.asfortranarray(a), np.asfortranarray(b)
        for left, right in ((a, b), across):
            made = of_products.products(left, right, "float32", bias)
            np.testing.assert_allclose(made, exact + bias, atol=1e-6 * K)
        expected = out + exact + bias
        given = of_products.products(a, b, "float32", bias, out=out, add=True)
        assert given is out
        np.testing.assert_allclose(out, expected, atol=1e-6 * K)
        assert of_products.products(a, b, "float32", out=out) is out
        np.testing.assert_allclose(out, exact, atol=1e-6 * K)
        double = of_products.products(a.astype(np.float64), b.astype(np.float64), "float32")
        assert double.dtype == np.float64


@pytest.mark.parametrize("shared", [0, 1 << 62])
def test_stacks_of_products_by_either_library(shared: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_products, "SHARED", shared)
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((3, n, 40)).astype(np.float32) for n in (7, 50))
    exact = a.astype(np.float64) @ b.astype(np.float64).swapaxes(1, 2)
    across = np.ascontiguousarray(b.swapaxes(1, 2)).swapaxes(1, 2)
    for right in (b, across):
        np.testing.assert_allclose(of_products.products(a, right, "float32"), exact, atol=1e-4)


@pytest.mark.skipif(kernels.default_backend() != "native", reason="needs the compiled kernels")
def test_large_products_of_training_are_no_work_for_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads would go on spinning on the cores of the kernels."""
    sizes: list[int] = []

    def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
        sizes.append(a.shape[-2] * a.shape[-1] * b.shape[-1])
        made: Array = np.dot(a, b, out)
        return made

    monkeypatch.setattr(of_products.np, "matmul", matmul)
    x = np.ones((40, 8, 130), np.float32)
    for layer in (fl.Linear(130, 140, rng=0), SoftmaxDecoder(130, 140, rng=0)):
        y, tape = layer.forward(x)
        layer.backward(tape, y)
    assert sizes == []
    small = x[:2, :2, :130]
    layer.backward(layer.forward(small)[1], layer(small))
    assert sizes
    assert max(sizes) <= of_products.SHARED
