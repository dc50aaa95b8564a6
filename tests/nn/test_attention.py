"""Dot-product attention: against its equations, torch and differences; what is not read; errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.nn.attention import DotAttention

N, T, S, H, F = 4, 3, 5, 6, 7
LENGTHS = np.array([5, 2, 0, 3])
WHERE = np.arange(T) < np.array([1, 3, 2, 0])[:, None]
CASES = [(None, None), (LENGTHS, None), (None, WHERE), (LENGTHS, WHERE)]
IDS = ["all", "lengths", "where", "both"]


def make(dtype: str = "float64") -> DotAttention:
    return DotAttention(H, F, dtype=dtype, rng=np.random.default_rng(0))


def arrays(dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return tuple(rng.standard_normal((N, n, H)).astype(dtype) for n in (T, S))  # type: ignore[return-value]


def by_the_equations(
    layer: DotAttention, query: np.ndarray, memory: np.ndarray, lengths: Any, where: Any
) -> np.ndarray:
    """One query at a time."""
    answers = np.zeros((N, T, F))
    for n, t in np.ndindex(N, T):
        places = memory[n, : S if lengths is None else lengths[n]]
        score = np.exp(places @ query[n, t])
        context = (score / score.sum()) @ places if len(places) else np.zeros(H)
        answers[n, t] = np.tanh(layer.combine.weight.data @ np.concatenate([context, query[n, t]]))
    return answers if where is None else answers[where]


@pytest.mark.parametrize(("lengths", "where"), CASES, ids=IDS)
def test_against_the_equations(lengths: Any, where: Any) -> None:
    layer, (query, memory) = make(), arrays()
    y = layer(query, memory, lengths, where)
    np.testing.assert_allclose(
        y, by_the_equations(layer, query, memory, lengths, where), rtol=0, atol=1e-14
    )
    np.testing.assert_array_equal(layer.forward(query, memory, lengths, where)[0], y)


def test_against_torch() -> None:
    """Its scaled product, with the scale put back into the queries."""
    torch = pytest.importorskip("torch")
    layer, lengths = make(), np.maximum(LENGTHS, 1)
    query, memory = (torch.tensor(a, requires_grad=True) for a in arrays())
    weight = torch.tensor(layer.combine.weight.data, requires_grad=True)
    mask = torch.tensor(np.arange(S) < lengths[:, None])[:, None]
    context = torch.nn.functional.scaled_dot_product_attention(
        query * H**0.5, memory, memory, attn_mask=mask
    )
    expected = torch.tanh(torch.cat([context, query], dim=2) @ weight.T)
    y, tape = layer.forward(*arrays(), lengths)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-12)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    expected.backward(torch.tensor(dy))
    dquery, dmemory = layer.backward(tape, dy)
    for actual, leaf in ((dquery, query), (dmemory, memory), (layer.combine.weight.grad, weight)):
        np.testing.assert_allclose(actual, leaf.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("lengths", "where"), CASES, ids=IDS)
def test_gradients_against_differences(lengths: Any, where: Any) -> None:
    layer, (query, memory) = make(), arrays()
    y, tape = layer.forward(query, memory, lengths, where)
    dy = np.random.default_rng(3).standard_normal(y.shape)
    dquery, dmemory = layer.backward(tape, dy)
    weight = layer.combine.weight
    for name, array, gradient in (
        ("query", query, dquery),
        ("memory", memory, dmemory),
        ("weight", weight.data, weight.grad),
    ):
        differences = np.empty_like(array)
        for place in np.ndindex(array.shape):
            value, sums = array[place], []
            for step in (1e-5, -1e-5):
                array[place] = value + step
                sums.append(float((layer(query, memory, lengths, where) * dy).sum()))
            array[place] = value
            differences[place] = (sums[0] - sums[1]) / 2e-5
        np.testing.assert_allclose(gradient, differences, rtol=0, atol=1e-8, err_msg=name)


def test_weights_add_up_to_one_over_the_real_places() -> None:
    weights = make().weights(*arrays(), LENGTHS)
    assert weights.shape == (N, T, S)
    np.testing.assert_allclose(weights.sum(axis=2), np.repeat(LENGTHS[:, None] > 0, T, axis=1))
    assert not weights[
        np.broadcast_to((np.arange(S) >= LENGTHS[:, None])[:, None], (N, T, S))
    ].any()
    assert (weights[0] > 0).all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("shape", [(0, T, S), (N, 0, S), (N, T, 0)], ids=str)
def test_nothing_to_answer_or_to_look_at(shape: tuple[int, int, int], precision: str) -> None:
    (n, t, s), layer = shape, make("float32")
    query, memory = np.ones((n, t, H), np.float32), np.ones((n, s, H), np.float32)
    layer.precision = precision
    y = layer(query, memory)
    assert y.shape == (n, t, F)
    assert y.dtype == np.float32
    if precision == "int8":
        return
    y, tape = layer.forward(query, memory)
    dquery, dmemory = layer.backward(tape, y)
    assert (dquery.shape, dmemory.shape) == (query.shape, memory.shape)


def test_what_lies_past_a_length_has_no_influence() -> None:
    layer, (query, memory) = make(), arrays()
    other = memory.copy()
    other[np.arange(S) >= LENGTHS[:, None]] = 1e6
    one, two = (layer.forward(query, m, LENGTHS) for m in (memory, other))
    np.testing.assert_array_equal(one[0], two[0])
    gradients = [layer.backward(tape, np.ones((N, T, F))) for _, tape in (one, two)]
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not gradients[0][1][np.arange(S) >= LENGTHS[:, None]].any()


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_the_largest_number_past_a_length_is_finite_too(precision: str) -> None:
    """Rounded to bfloat16 it is infinite, and so are products with it in the backward pass."""
    layer, (query, memory) = make("float32"), arrays("float32")
    layer.precision = precision
    expected = layer(query, memory, LENGTHS)
    past = np.arange(S) >= LENGTHS[:, None]
    given = np.where(past[:, :, None], np.finfo("float32").max, memory)
    np.testing.assert_array_equal(layer(query, given, LENGTHS), expected)
    if precision == "int8":
        return
    found = []
    for array in (memory, given):
        y, tape = layer.forward(query, array, LENGTHS)
        found.append(layer.backward(tape, np.full_like(y, 100)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_large_scores_do_not_overflow() -> None:
    query, memory = (a * np.float32(1e4) for a in arrays("float32"))
    weights = make("float32").weights(query, memory, LENGTHS)
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights[0].max(axis=1), 1)


def test_views_are_read_as_they_are() -> None:
    layer, (query, memory) = make(), arrays()
    steps_first = [np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1) for a in (query, memory)]
    one, two = layer.forward(query, memory, LENGTHS), layer.forward(*steps_first, LENGTHS)
    np.testing.assert_allclose(one[0], two[0], rtol=0, atol=1e-14)
    for a, b in zip(layer.backward(one[1], one[0]), layer.backward(two[1], two[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


WRONG = [
    ({"query": np.zeros((N, T, H + 1))}, ValueError, "query has shape (4, 3, 7), expected"),
    ({"query": np.zeros((N, T, H), complex)}, TypeError, "query has dtype complex128, expected"),
    ({"memory": np.zeros((N + 1, S, H))}, ValueError, "memory has shape (5, 5, 6), expected (4,"),
    ({"lengths": [1, 2, 3, 6]}, ValueError, "lengths[3] is 6, expected 0 to 5"),
    ({"where": np.ones((N, T))}, ValueError, "where is float64 of shape (4, 3), expected bool"),
    ({"where": np.ones((N, S), bool)}, ValueError, "expected bool of (4, 3)"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG, ids=[w[2] for w in WRONG])
def test_wrong_inputs(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    query, memory = arrays()
    with pytest.raises(error, match=re.escape(message)):
        make()(**{"query": query, "memory": memory, **wrong})


def test_wrong_sizes_and_gradients() -> None:
    with pytest.raises(ValueError, match="size is 0, expected at least 1"):
        DotAttention(0)
    layer = make()
    y, tape = layer.forward(*arrays(), where=WHERE)
    with pytest.raises(ValueError, match=re.escape("dy has shape (4, 3, 7), expected (6, 7)")):
        layer.backward(tape, np.zeros((N, T, F)))
    layer.backward(tape, y)
    with pytest.raises(RuntimeError, match="tape was already used"):
        layer.backward(tape, y)
