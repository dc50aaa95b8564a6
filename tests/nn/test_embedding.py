"""Embedding: vectors, row-sparse gradients, batches by their distinct tokens."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.nn import Embedding

V, E = 11, 3


def make(padding_idx: int | None = None) -> Embedding:
    return Embedding(V, E, padding_idx, dtype="float64", rng=np.random.default_rng(0))


def test_vectors_are_rows_of_the_table() -> None:
    embedding = make()
    np.testing.assert_array_equal(embedding([[1, 2], [1, 0]])[0, 1], embedding.weight.data[2])
    assert embedding([[1, 2, 3]]).shape == (1, 3, E)


def test_gradient_against_torch() -> None:
    torch = pytest.importorskip("torch")
    embedding = make(padding_idx=4)
    theirs = torch.nn.Embedding(V, E, padding_idx=4).double()
    embedding.load_state_dict(theirs.state_dict())
    tokens = np.array([[4, 1, 1], [9, 4, 1]])
    dy = np.random.default_rng(1).standard_normal((2, 3, E))
    y, tape = embedding.forward(tokens)
    embedding.backward(tape, dy)
    expected = theirs(torch.tensor(tokens))
    np.testing.assert_array_equal(y, expected.detach().numpy())
    expected.backward(torch.tensor(dy))
    rows = embedding.weight.rows
    assert rows is not None
    assert rows.index.tolist() == [1, 9]
    dense = np.zeros((V, E))
    dense[rows.index] = rows.value
    np.testing.assert_allclose(dense, theirs.weight.grad.numpy(), rtol=1e-14)


def test_two_gradients_add_up() -> None:
    embedding = make()
    for tokens in ([1, 5], [5, 9]):
        _, tape = embedding.forward(tokens)
        embedding.backward(tape, np.ones((2, E)))
    rows = embedding.weight.rows
    assert rows is not None
    assert rows.index.tolist() == [1, 5, 9]
    np.testing.assert_array_equal(rows.value[:, 0], [1, 2, 1])
    embedding.zero_grad()
    assert embedding.weight.rows is None


def test_a_dense_gradient_has_the_same_numbers() -> None:
    tokens, dy = [[1, 2, 1], [4, 0, 9]], np.random.default_rng(1).standard_normal((2, 3, E))
    sparse = make(padding_idx=4)
    dense = Embedding(V, E, 4, sparse=False, dtype="float64", rng=np.random.default_rng(0))
    for embedding in (sparse, dense):
        for _ in range(2):
            embedding.backward(embedding.forward(tokens)[1], dy)
    assert dense.weight.rows is None
    assert sparse.weight.rows is not None
    expected = np.zeros((V, E))
    expected[sparse.weight.rows.index] = sparse.weight.rows.value
    np.testing.assert_array_equal(dense.weight.grad, expected)


def test_padding() -> None:
    assert not make(padding_idx=-1).weight.data[V - 1].any()
    assert make(padding_idx=-1).padding_idx == V - 1
    assert make().weight.data.all()


@given(data=st.data())
def test_distinct_tokens_describe_the_batch(data: st.DataObject) -> None:
    N, T = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    tokens = np.array(data.draw(st.lists(st.integers(0, V - 1), min_size=N * T, max_size=N * T)))
    tokens = tokens.reshape(N, T)
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N))
    embedding = make()
    batch, index = embedding.distinct(tokens, lengths)
    real = np.arange(T) < np.reshape(T if lengths is None else lengths, (-1, 1))
    real = np.broadcast_to(real, tokens.shape)
    np.testing.assert_array_equal(batch.table[batch.ids][real], embedding(tokens)[real])
    np.testing.assert_array_equal(batch.table, embedding.weight.data[index])
    if real.any():
        assert index.tolist() == sorted(set(tokens[real].tolist()))
    assert len(index) >= 1
    assert batch.ids.min() >= 0
    assert batch.ids.max() < len(index)


WRONG = [
    ([[1, V]], IndexError, "tokens[0, 1] is 11, expected 0 to 10"),
    ([[1, 2], [-1, 3]], IndexError, "tokens[1, 0] is -1, expected 0 to 10"),
    (np.array([[2**40]]), IndexError, "tokens[0, 0] is 1099511627776, expected 0 to 10"),
    ([[1.0]], TypeError, "tokens has dtype float64, expected integers"),
    ([[True]], TypeError, "tokens has dtype bool, expected integers"),
]


@pytest.mark.parametrize(("tokens", "error", "message"), WRONG, ids=[m for *_, m in WRONG])
@pytest.mark.parametrize("method", ["__call__", "forward", "distinct"])
def test_wrong_tokens(tokens: Any, error: type[Exception], message: str, method: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        getattr(make(), method)(tokens)


def test_wrong_batches() -> None:
    with pytest.raises(ValueError, match=r"tokens has shape \(2,\), expected 2 axes"):
        make().distinct([1, 2])
    with pytest.raises(ValueError, match=r"lengths\[0\] is 3, expected 0 to 2"):
        make().distinct([[1, 2]], [3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, E), "num_embeddings is 0, expected at least 1"),
        ((V, -2), "embedding_dim is -2, expected at least 1"),
        ((V, E, V), "padding_idx is 11, expected -11 to 10 or None"),
    ],
)
def test_wrong_options(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Embedding(*arguments)


def test_wrong_gradient() -> None:
    embedding = make()
    _, tape = embedding.forward([[1, 2]])
    with pytest.raises(ValueError, match=r"dy has shape \(2, 3\), expected \(1, 2, 3\)"):
        embedding.backward(tape, np.zeros((2, E)))


def test_from_pretrained_is_as_torchs() -> None:
    torch = pytest.importorskip("torch")
    table = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    ours, theirs = (
        kind.from_pretrained(convert(table), padding_idx=2)
        for kind, convert in ((Embedding, np.asarray), (torch.nn.Embedding, torch.tensor))
    )
    tokens = [[0, 2], [4, 4]]
    np.testing.assert_array_equal(ours(tokens), theirs(torch.tensor(tokens)).numpy())
    assert ours.weight.trainable == theirs.weight.requires_grad == False  # noqa: E712
    assert ours.padding_idx == theirs.padding_idx == 2
    assert Embedding.from_pretrained(table, freeze=False).weight.trainable
    assert "trainable=False" in repr(ours)
    table[...] = 0
    assert ours.weight.data.any()


def test_a_frozen_embedding_has_no_gradient() -> None:
    for sparse in (True, False):
        frozen = Embedding.from_pretrained(np.ones((4, 2)), sparse=sparse)
        assert frozen.dtype == np.float64
        y, tape = frozen.forward([[1, 2]])
        frozen.backward(tape, np.ones_like(y))
        assert not frozen.weight.has_grad


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (np.ones(3), ValueError, "embeddings has shape (3,), expected (num_embeddings, embedding"),
        (np.ones((0, 3)), ValueError, "embeddings has shape (0, 3)"),
        (np.array([[1, np.nan]]), ValueError, "weight[0, 1] is nan, expected finite numbers"),
        (np.array([["a"]]), TypeError, "weight has dtype <U1, expected real numbers"),
    ],
)
def test_no_embeddings(table: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Embedding.from_pretrained(table)
