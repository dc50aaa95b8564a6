"""Right calls of what stands around recurrent layers: embedding, pooling, optimizers, losses."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from bound import Kernel
from cases import TOLERANCE, Array, draw_lengths
from checks import assert_close, assert_same

import fastlstm as fl
from attack.fuzz.compare import near
from attack.fuzz.draw import F32, F64, Rng, array, chance, pick, size
from fastlstm import kernels
from fastlstm.models.adaptive_softmax import AdaptiveSoftmax
from fastlstm.nn.pooling import pool, pool_backward
from fastlstm.train import optim

# Of three steps of an optimizer: a few operations each, of 6e-8; 2.2e-7 at most in 60,000 cases.
STEPS_ROUND = 1e-6


def embedding(rng: Rng) -> None:
    """Vectors, their gradient, and the distinct tokens of a batch."""
    V, D, N, T = (int(n) for n in rng.integers(1, 9, 4))
    sparse, dtype = chance(rng, 2), pick(rng, (F32, F64))
    padding = pick(rng, (None, 0, -1))
    made = fl.Embedding(V, D, padding, sparse=sparse, dtype=dtype)
    tokens = rng.integers(0, V, (N, T)).astype(pick(rng, (np.int64, np.int32, np.uint16)))
    y, tape = made.forward(tokens)
    assert_same(y, made.weight.data[tokens], "vectors")
    dy = array(rng, y.shape, dtype)
    made.backward(tape, dy)
    expected = np.zeros((V, D))
    np.add.at(expected, tokens, dy.astype(F64))
    if padding is not None:
        expected[padding] = 0
    found = np.zeros((V, D), dtype)
    rows = made.weight.rows
    if rows is None:
        found += made.weight.grad
    else:
        assert (np.diff(rows.index) > 0).all(), "rows do not increase"
        found[rows.index] = rows.value
    near(found, expected, "gradient", "gradient of the table")
    lengths = draw_lengths(rng, T, N) if chance(rng, 2) else None
    batch, index = made.distinct(tokens, lengths)
    real = np.arange(T) < (T if lengths is None else lengths[:, None])
    real = np.broadcast_to(real, (N, T))
    assert_same(batch.table[batch.ids][real], y[real], "distinct vectors")
    assert len(index) == max(1, len(np.unique(tokens[real]))), "rows of the table"


def pooling(rng: Rng) -> None:
    """Mean, maximum and last state of each row, against the reference."""
    T, N, F = int(rng.integers(1, 7)), int(rng.integers(1, 7)), size(rng)
    dtype, D = pick(rng, (F32, F64)), pick(rng, (1, 2))
    # With equal values.
    y = np.round(rng.standard_normal((T, N, D * F)), 1).astype(dtype)
    h_n = array(rng, (D, N, F), dtype)
    rows = kernels.Rows(T, N, draw_lengths(rng, T, N) if chance(rng, 2) else None)
    names = tuple(rng.permutation(["last", "mean", "max"])[: int(rng.integers(1, 4))])
    found = []
    for backend, kind in (("native", dtype), ("reference", F64)):
        kernel = Kernel("lstm", backend)
        features, pooled = pool(kernel, names, y.astype(kind), h_n.astype(kind), rows)
        d = np.random.default_rng(0).standard_normal(features.shape).astype(kind)
        dy, dh_n = pool_backward(kernel, pooled, d)
        if dy is not None:  # behind a row's length it is not set
            dy[np.arange(T)[:, None] >= rows.lengths] = 0
        found.append((features, dy, dh_n))
    for what, one, other in zip(("features", "dy", "dh_n"), *found, strict=True):
        assert (one is None) == (other is None), what
        if one is not None:
            near(one, other, "gradient", what)


def optimizer(rng: Rng) -> None:
    """Some steps of an optimizer, dense and by rows, against the same in float64."""
    cls, options = pick(
        rng,
        (
            (optim.SGD, {}), (optim.SGD, {"momentum": 0.9, "nesterov": True}), (optim.Adam, {}),
            (optim.AdamW, {"weight_decay": 0.1}), (optim.Adam, {"weight_decay": 0.1}),
        ),
    )  # fmt: skip
    shape = (size(rng), size(rng))
    narrow = fl.Parameter(array(rng, shape, F32).copy())
    most = float(np.abs(narrow.data).max())
    wide = fl.Parameter(narrow.data.astype(F64))
    both = [(p, cls([p], lr=0.05, **options)) for p in (narrow, wide)]
    for _ in range(3):
        by_rows, g = chance(rng, 2), _gradient(rng, shape)
        index = np.flatnonzero(rng.random(shape[0]) < 0.6).astype(np.int64)
        for parameter, made in both:
            parameter.zero_grad()
            kind = parameter.data.dtype
            if by_rows:
                parameter.add_rows(index, g[index].astype(kind))
            else:
                parameter.grad[...] = g.astype(kind)
            made.step(scale=0.5)
        most = max(most, float(np.abs(wide.data).max()))
    # Rounding is that of the largest number on the way: steps may leave little of a parameter.
    error = float(np.abs(narrow.data - wide.data).max()) / most
    assert error <= STEPS_ROUND, f"parameter: error {error:.2e} of the largest number"
    before, kept = narrow.data.copy(), copy.deepcopy(both[0][1].state_dict())
    again = cls([narrow], lr=0.05, **options)
    again.load_state_dict(kept)
    results = []
    for made in (both[0][1], again):
        narrow.data[...] = before
        narrow.zero_grad()
        narrow.grad[...] = 1
        made.step()
        results.append(narrow.data.copy())
    assert_same(results[1], results[0], "step after load_state_dict")


def _gradient(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Numbers from 1 up, of either sign.

    None near 0, with what weight decay adds: Adam's first step jumps there from lr to -lr, so its
    rounding has no bound.
    """
    g = rng.standard_normal(shape).astype(F32)
    return np.copysign(1 + np.abs(g), g)


def losses(rng: Rng) -> None:
    """Both losses and their gradients, by the definition in float64."""
    N, C = int(rng.integers(1, 9)), size(rng)
    dtype = pick(rng, (F32, F64))
    z = array(rng, (N, C), dtype, scale=3)
    wide = z.astype(F64)
    if chance(rng, 2):
        t = rng.random((N, C)).astype(dtype)
        loss, d = fl.bce_with_logits(z, t)
        sigmoid = 1 / (1 + np.exp(-wide))
        expected = -(t * np.log(sigmoid) + (1 - t) * np.log1p(-sigmoid)).mean()
        gradient: Any = (sigmoid - t) / z.size
    else:
        even, targets = pick(rng, (0.0, 0.1, 1.0)), rng.integers(0, C, N)
        loss, d = fl.cross_entropy(z, targets, even)
        p = np.exp(wide - wide.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        q = np.full((N, C), even / C)
        q[np.arange(N), targets] += 1 - even
        expected, gradient = -(q * np.log(p)).sum() / N, (p - q) / N
    assert abs(loss - expected) <= 1e-5 * max(1, abs(expected)), f"loss {loss}, not {expected}"
    assert_close(d, gradient, TOLERANCE["gradient", F32], "dlogits")


def dense(rng: Rng) -> None:
    """A linear layer and dropout, by their definitions."""
    I, O = size(rng), size(rng)
    dtype, shape = pick(rng, (F32, F64)), tuple(int(n) for n in rng.integers(1, 4, rng.integers(3)))
    made = fl.Linear(I, O, bias=chance(rng, 2), dtype=dtype)
    x = array(rng, (*shape, I), dtype)
    y, tape = made.forward(x)
    w = made.weight.data.astype(F64)
    b = 0 if made.bias is None else made.bias.data
    near(y, x.astype(F64) @ w.T + b, "output", "y")
    dy = array(rng, y.shape, dtype)
    near(made.backward(tape, dy), dy.astype(F64) @ w, "gradient", "dx")
    d = dy.reshape(-1, O).astype(F64).T @ x.reshape(-1, I)
    near(made.weight.grad, d, "gradient", "dweight")
    drop = fl.Dropout(0.5)
    dropped, tape = drop.forward(x, np.random.default_rng(3))
    assert ((dropped == 0) | (dropped == 2 * x)).all(), "dropout neither drops nor doubles"
    assert_same(drop.backward(tape, np.ones_like(x)) * x, dropped, "gradient of dropout")


def adaptive(rng: Rng) -> None:
    """An adaptive softmax: probabilities, the loss of some words and its gradients."""
    V, K = size(rng) + 2, size(rng) + 3
    clusters = int(rng.integers(1, min(V - 1, 4)))
    cutoffs = np.sort(1 + rng.permutation(V - 1)[:clusters]).tolist()
    div_value = pick(rng, (1.0, 1.5)) if K > 2**clusters else 1.0
    options: dict[str, Any] = {"div_value": div_value, "head_bias": chance(rng, 2), "rng": 0}
    narrow = AdaptiveSoftmax(K, V, cutoffs, **options)
    wide = AdaptiveSoftmax(K, V, cutoffs, dtype=F64, **options)
    wide.load_state_dict({n: a.astype(F64) for n, a in narrow.state_dict().items()})
    shape = tuple(int(n) for n in rng.integers(1, 4, int(rng.integers(1, 3))))
    x, targets = array(rng, (*shape, K), F32), rng.integers(0, V, shape)
    log = wide(x.astype(F64))
    assert_close(np.exp(log).sum(-1), np.ones(shape), 1e-12, "sum of the probabilities")
    expected = -np.take_along_axis(log, targets[..., None], -1).mean()
    (loss, dx), (exact, d) = narrow.loss(x, targets), wide.loss(x.astype(F64), targets)
    assert abs(exact - expected) <= 1e-12 * max(1, expected), f"loss {exact}, not {expected}"
    assert abs(loss - expected) <= 1e-5 * max(1, expected), f"loss {loss}, not {expected}"
    near(dx, d, "gradient", "dx")
    for (name, one), other in zip(narrow.named_parameters(), wide.parameters(), strict=True):
        near(one.grad, other.grad, "gradient", f"gradient of {name}")
