"""Full softmax over a vocabulary: logits, their loss and gradient, in one buffer.

The logits [M,V] of M places and V words are by far the largest array of a language model: 16 MB
for 400 places and 10,000 words in float32. Their gradient takes their place.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm import kernels
from fastlstm.kernels.rows import Int64Array
from fastlstm.nn.check import (
    Rng,
    check_array,
    check_dtype,
    check_flag,
    check_ids,
    check_rng,
    check_size,
)
from fastlstm.nn.init import uniform
from fastlstm.nn.module import Array, Tape, described
from fastlstm.nn.parameter import Parameter, check_finite
from fastlstm.nn.precision import Precise, products
from fastlstm.nn.ready import ready
from fastlstm.nn.sums import add_products, sum_rows
from fastlstm.runtime import get_num_threads


class SoftmaxDecoder(Precise):
    """Logits of every word of a vocabulary, y = x W^T + b, with a W of its own or a shared one.

    Parameters
    ----------
    in_features, vocab_size : K and V, at least 1.
    bias : whether to add b.
    weight : Parameter [V,K] of another layer to use as W (Press & Wolf 2017), such as that of an
        ``Embedding(sparse=False)``; None for a W of its own.
    first : use the V rows of a larger `weight` from this one on; None: it has V rows.
    dtype : float32 or float64.
    rng : generator of the first values, uniform in +-1/sqrt(K).
    precision : of the product, as of `LSTM`.

    Attributes
    ----------
    weight : Parameter [V,K], or a larger one.
    bias : Parameter [V], or None.

    TypeError or ValueError tells of a size or a shared weight that does not fit.
    """

    _rows: slice = slice(None)  # of the weight; also of what was pickled before there was a choice

    def __init__(
        self,
        in_features: int,
        vocab_size: int,
        bias: bool = True,
        *,
        weight: Parameter | None = None,
        first: int | None = None,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        precision: str = "float32",
    ) -> None:
        self.in_features = check_size("in_features", in_features)
        self.vocab_size = check_size("vocab_size", vocab_size)
        self.dtype = check_dtype(dtype)
        self.precision = precision
        bias = check_flag("bias", bias)
        self._backend = kernels.default_backend()
        rng, bound, shape = check_rng(rng), 1 / math.sqrt(in_features), (vocab_size, in_features)
        if weight is not None:
            if weight.data.dtype != self.dtype:
                raise TypeError(f"weight has dtype {weight.data.dtype}, expected {self.dtype}")
            own = weight.data
            if first is not None:
                self._rows = slice(first, first + vocab_size)
                own = own[self._rows]
            check_array("weight", own, self.dtype, shape)
        self.weight = weight or Parameter(uniform(shape, bound, self.dtype, rng))
        self.bias = Parameter(uniform(shape[:1], bound, self.dtype, rng)) if bias else None

    def extra_repr(self) -> str:
        """Return the options that differ from the usual ones."""
        return described(precision=(self.precision, "float32"))

    def __call__(self, x: Array) -> Array:
        """Return the logits [...,V] of x [...,K]."""
        x = self._check(x)
        bias = None if self.bias is None else self.bias.data
        made = self._products(x.reshape(-1, self.in_features), bias)
        logits: Array = made.reshape(*x.shape[:-1], self.vocab_size)
        return logits

    def _check(self, x: Array) -> Array:
        return check_array("x", x, self.dtype, (None,) * (np.ndim(x) - 1) + (self.in_features,))

    def _products(self, rows: Array, bias: Array | None) -> Array:
        """Return the logits [M,V] of rows [M,K]."""
        weight = self.weight.data[self._rows]
        out = kernels.backend(self._backend).empty((len(rows), self.vocab_size), self.dtype)
        if self.precision == "int8":
            check_finite("weight", weight)
        return products(rows, weight, self.precision, bias, out=out)

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
            self.bias.grad[...] += sum_rows(d)
        dx: Array = self._products_backward(rows, d, precision).reshape(x.shape)
        return dx

    def _products_backward(self, rows: Array, d: Array, precision: str) -> Array:
        """Add to the weight's gradient, given that of the logits; return that of the rows."""
        weight, gradient = self.weight.data[self._rows], self.weight.grad[self._rows]
        add_products(gradient, d, rows, precision)
        ready(self.bias, self.weight)
        return products(d, weight.T, precision)

    def loss(
        self, x: Array, targets: ArrayLike, *, gradient: bool = True, share: float = 1.0
    ) -> tuple[float, Array | None]:
        """Return the mean cross-entropy of targets [...] at x [...,K], in nats, and its gradient.

        With `gradient` those of the parameters are added to, and that of x is returned; else None.
        `share` is a factor on the loss, and so on all gradients.
        """
        if check_flag("gradient", gradient):
            self._check_trains()
        x = self._check(x)
        words = _check_targets(targets, (*x.shape[:-1], self.vocab_size))
        rows, bias = x.reshape(-1, self.in_features), self.bias
        z = self._products(rows, None)
        loss, dbias = _mean_loss(z, words, share, gradient, None if bias is None else bias.data)
        if not gradient:
            return loss, None
        if bias is not None:
            bias.grad[...] += dbias
        return loss, self._products_backward(rows, z, self.precision).reshape(x.shape)


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
    words = _check_targets(targets, logits.shape)
    gradient = check_flag("gradient", gradient)
    return _mean_loss(logits.reshape(-1, logits.shape[-1]), words, 1.0, gradient)[0]


def _check_targets(targets: ArrayLike, shape: tuple[int, ...]) -> Int64Array:
    """Return the targets of logits of a shape, flat, after checking that they fit."""
    words = check_ids("targets", targets, shape[-1])
    if words.shape != shape[:-1] or not words.size:
        raise ValueError(f"targets has shape {words.shape}, expected {shape[:-1]}, not empty")
    return words.reshape(-1).astype(np.int64, copy=False)


def _mean_loss(
    z: Array, words: Int64Array, share: float, gradient: bool, bias: Array | None = None
) -> tuple[float, Any]:
    """Return the mean loss of logits [M,V] times `share`, and the gradient of a bias they lack."""
    each = share / len(z)
    total, dbias = kernels.backend().softmax_cross_entropy(
        z,
        words,
        bias,
        scale=each if gradient else 0.0,
        dbias=gradient and bias is not None,
        n_threads=get_num_threads(),
    )
    return total * each, dbias
