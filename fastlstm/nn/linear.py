"""Linear layer."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from fastlstm.nn.check import (
    MOST_SIZE,
    Rng,
    as_array,
    check_array,
    check_dtype,
    check_flag,
    check_rng,
    check_size,
)
from fastlstm.nn.init import uniform
from fastlstm.nn.module import Array, Tape, described
from fastlstm.nn.parameter import Parameter, check_finite
from fastlstm.nn.precision import Precise, products
from fastlstm.nn.ready import ready
from fastlstm.nn.sums import add_products, sum_rows

# Up to this many weights each row is multiplied on its own: a matrix product may round a row
# differently when its neighbours change. Heads of classifiers are below, and lose no time.
ROWWISE_WEIGHTS = 1 << 14


class Linear(Precise):
    """y = x W^T + b.

    Parameters
    ----------
    in_features, out_features : sizes, at least 1.
    bias : whether to add b.
    dtype : float32 or float64.
    rng : generator of the first values, uniform in +-1/sqrt(in_features) as torch's; or a seed
        for one.
    precision : of the product, as of `LSTM`.

    Attributes
    ----------
    weight : Parameter [out_features, in_features].
    bias : Parameter [out_features], or None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        precision: str = "float32",
    ) -> None:
        self.in_features = check_size("in_features", in_features, most=MOST_SIZE)
        self.out_features = check_size("out_features", out_features, most=MOST_SIZE)
        self.dtype = check_dtype(dtype)
        self.precision = precision
        bias = check_flag("bias", bias)
        rng, bound = check_rng(rng), 1 / math.sqrt(in_features)
        shape = (out_features, in_features)
        self.weight = Parameter(uniform(shape, bound, self.dtype, rng))
        self.bias = Parameter(uniform(shape[:1], bound, self.dtype, rng)) if bias else None
        if not bias:
            self._without("bias")

    def extra_repr(self) -> str:
        """Return the sizes, and whether there is a bias."""
        sizes = f"in_features={self.in_features}", f"out_features={self.out_features}"
        return described(
            *sizes,
            f"bias={self.bias is not None}",
            dtype=(self.dtype, "float32"),
            precision=(self.precision, "float32"),
        )

    def __call__(self, x: Array) -> Array:
        """Return y [..., out_features] of x [..., in_features].

        With at most 16,384 weights a row of y does not depend on the other rows by a single
        bit; above that it may, in its last digits, as with any BLAS. In lower precision it never
        does.
        """
        x = as_array("x", x, self.dtype)
        x = check_array("x", x, self.dtype, (None,) * (x.ndim - 1) + (self.in_features,))
        weight, bias = self.weight.data, None if self.bias is None else self.bias.data
        if self.precision == "float32" and weight.size <= ROWWISE_WEIGHTS:
            y: Array = np.matmul(weight, x[..., None])[..., 0]
            if bias is not None:
                y += bias
            return y
        if self.precision == "int8":
            check_finite("weight", weight)
        y = products(x.reshape(-1, self.in_features), weight, self.precision, bias)
        return y.reshape(*x.shape[:-1], self.out_features)

    def forward(self, x: Array) -> tuple[Array, Tape]:
        """Return y as above, and the tape; ValueError in int8, which has no backward."""
        self._check_trains()
        x = as_array("x", x, self.dtype)
        return self(x), Tape(self, x, self.precision)

    def backward(self, tape: Tape, dy: Array) -> Array:
        """Add to the gradients of weight and bias; return the gradient of x."""
        x, precision = self._take(tape)
        dy = check_array("dy", dy, self.dtype, (*x.shape[:-1], self.out_features))
        if self.bias is not None:
            self.bias.grad[...] += sum_rows(dy.reshape(-1, self.out_features))
        rows = dy.reshape(-1, self.out_features)
        add_products(self.weight.grad, rows, x.reshape(-1, self.in_features), precision)
        ready(self.bias, self.weight)
        dx: Array = products(rows, self.weight.data.T, precision).reshape(x.shape)
        return dx
