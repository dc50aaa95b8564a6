"""Full softmax over a vocabulary: logits, their loss and gradient, in one buffer.

The logits [M,V] of M places and V words are by far the largest array of a language model: 16 MB
for 400 places and 10,000 words in float32. Their gradient takes their place. Between the three
matrix products they are worked on in blocks that stay in the second-level cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm import kernels
from fastlstm.nn.check import Rng, check_array, check_dtype, check_ids, check_rng, check_size
from fastlstm.nn.init import uniform
from fastlstm.nn.module import Array, Parameter, Tape, check_finite, described
from fastlstm.nn.precision import Precise, products
from fastlstm.nn.sums import add_products

BLOCK = 1 << 18  # elements of a block: 1 MB in float32


class SoftmaxDecoder(Precise):
    """Logits of every word of a vocabulary, y = x W^T + b, with a W of its own or a shared one.

    Parameters
    ----------
    in_features, vocab_size : K and V, at least 1.
    bias : whether to add b.
    weight : Parameter [V,K] of another layer to use as W (Press & Wolf 2017), such as that of an
        ``Embedding(sparse=False)``; None for a W of its own.
    dtype : float32 or float64.
    rng : generator of the first values, uniform in +-1/sqrt(K).
    precision : of the product, as of `LSTM`.

    Attributes
    ----------
    weight : Parameter [V,K].
    bias : Parameter [V], or None.

    TypeError or ValueError tells of a size or a shared weight that does not fit.
    """

    def __init__(
        self,
        in_features: int,
        vocab_size: int,
        bias: bool = True,
        *,
        weight: Parameter | None = None,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        precision: str = "float32",
    ) -> None:
        self.in_features = check_size("in_features", in_features)
        self.vocab_size = check_size("vocab_size", vocab_size)
        self.dtype = check_dtype(dtype)
        self.precision = precision
        self._backend = kernels.default_backend()
        rng, bound, shape = check_rng(rng), 1 / math.sqrt(in_features), (vocab_size, in_features)
        if weight is not None:
            if weight.data.dtype != self.dtype:
                raise TypeError(f"weight has dtype {weight.data.dtype}, expected {self.dtype}")
            check_array("weight", weight.data, self.dtype, shape)
        self.weight = weight or Parameter(uniform(shape, bound, self.dtype, rng))
        self.bias = Parameter(uniform(shape[:1], bound, self.dtype, rng)) if bias else None

    def extra_repr(self) -> str:
        """Return the options that differ from the usual ones."""
        return described(precision=(self.precision, "float32"))

    def __call__(self, x: Array) -> Array:
        """Return the logits [...,V] of x [...,K]."""
        x = check_array("x", x, self.dtype, (None,) * (np.ndim(x) - 1) + (self.in_features,))
        rows, weight, V = x.reshape(-1, self.in_features), self.weight.data, self.vocab_size
        out = kernels.backend(self._backend).empty((len(rows), V), self.dtype)
        bias = None if self.bias is None else self.bias.data
        if self.precision == "int8":
            check_finite("weight", weight)
        if self.precision != "float32":
            products(rows, weight, self.precision, bias, out=out)
        else:
            for words in _blocks(V, len(rows)):
                np.matmul(rows, weight[words].T, out=out[:, words])
                if bias is not None:
                    out[:, words] += bias[words]
        logits: Array = out.reshape(*x.shape[:-1], V)
        return logits

    def forward(self, x: Array) -> tuple[Array, Tape]:
        """Return the logits as above, and the tape; ValueError in int8, which has no backward."""
        self._check_trains()
        return self(x), Tape(self, x, self.precision)

    def backward(self, tape: Tape, dlogits: Array) -> Array:
        """Add to the gradients of weight and bias; return the gradient of x."""
        x = self._look(tape)[0]
        shape = (*x.shape[:-1], self.vocab_size)
        dlogits = check_array("dlogits", dlogits, self.dtype, shape)
        _, precision = self._take(tape)
        rows, d = x.reshape(-1, self.in_features), dlogits.reshape(-1, self.vocab_size)
        if self.bias is not None:
            self.bias.grad[...] += np.ones(len(d), self.dtype) @ d  # BLAS sums faster than sum
        if precision == "float32":
            for words in _blocks(self.vocab_size, self.in_features):
                self.weight.grad[words] += d[:, words].T @ rows
        else:
            add_products(self.weight.grad, d, rows, precision)
        dx: Array = products(d, self.weight.data.T, precision).reshape(x.shape)
        return dx


def softmax_loss(logits: Array, targets: ArrayLike, *, gradient: bool = True) -> float:
    """Return the cross-entropy of the softmax of logits, and put its gradient in their place.

    Parameters
    ----------
    logits : float [...,V], C-contiguous; overwritten. With `gradient` they hold the gradient of
        the loss afterwards, else nothing of use.
    targets : integers [...], each a word 0..V-1.

    Returns
    -------
    float : mean over all places, in nats.

    Raises
    ------
    TypeError, ValueError, IndexError
        If logits or targets do not fit, or there are none.
    """
    if not isinstance(logits, np.ndarray) or not logits.flags.c_contiguous or not logits.size:
        raise ValueError("logits is not a C-contiguous array with at least one element")
    z = logits.reshape(-1, logits.shape[-1])
    words = check_ids("targets", targets, z.shape[1])
    if words.shape != logits.shape[:-1]:
        raise ValueError(f"targets has shape {words.shape}, expected {logits.shape[:-1]}")
    words, total = words.reshape(-1), 0.0
    for rows in _blocks(*z.shape):
        total += _block_loss(z[rows], words[rows], 1 / len(z) if gradient else 0.0)
    return total / len(z)


def _block_loss(z: Array, words: Array, scale: float) -> float:
    """Return the sum of a block's losses; turn z into their gradients times `scale`, if not 0."""
    n = np.arange(len(z))
    z -= z.max(axis=1, keepdims=True)
    right = z[n, words].astype(np.float64)
    np.exp(z, out=z)
    sums = z.sum(axis=1, keepdims=True)
    if scale:
        z *= scale / sums
        z[n, words] -= z.dtype.type(scale)
    return float(np.sum(np.log(sums[:, 0], dtype=np.float64) - right))


def _blocks(size: int, width: int) -> Iterator[slice]:
    """Cut `size` rows or columns of `width` elements each into blocks of at most BLOCK."""
    step = max(1, BLOCK // max(1, width))
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))
