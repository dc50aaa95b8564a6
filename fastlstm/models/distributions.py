"""What the numbers of a regressor's head mean: forecasts that are valid whatever the head says.

A head gives `size` raw numbers for each target, on the last axis. Each kind has `outputs(raw)`,
its `backward(raw, doutputs)`, the `loss` of outputs, the `point` that they forecast, and `sample`,
which draws what may come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import check_choice
from fastlstm.nn.module import Array
from fastlstm.nn.regression_losses import (
    check_quantiles,
    gaussian_nll_loss,
    mse_loss,
    negative_binomial_nll_loss,
    quantile_loss,
)

FLOOR = 1e-6  # of what must be above 0
MOST = 1e15  # of a mean, beyond which a Poisson distribution is as good as a number
_LIKELIHOODS = "distribution='gaussian' or 'negative_binomial' does"


class Point:
    """One number, by squared error."""

    size = 1

    def outputs(self, raw: Array) -> Array:
        found: Array = raw[..., 0]
        return found

    def backward(self, raw: Array, d: Array) -> Array:
        back: Array = d[..., None]
        return back

    def loss(self, outputs: Array, targets: ArrayLike, **options: Any) -> tuple[float, Array]:
        return mse_loss(outputs, targets, **options)

    def point(self, outputs: Array) -> Array:
        return outputs

    def sample(self, outputs: Array, count: int, rng: np.random.Generator) -> Array:
        raise ValueError(f"a point says nothing of what else may come: {_LIKELIHOODS}")


class Quantiles:
    """Quantiles that never cross: the first one, then steps of at least 0."""

    def __init__(self, quantiles: Sequence[float]) -> None:
        self.quantiles = check_quantiles(quantiles).tolist()
        self.size = len(self.quantiles)
        self._middle = int(np.argmin(np.abs(np.array(self.quantiles) - 0.5)))

    def outputs(self, raw: Array) -> Array:
        steps = np.concatenate([raw[..., :1], _softplus(raw[..., 1:])], axis=-1)
        found: Array = np.cumsum(steps, axis=-1)
        return found

    def backward(self, raw: Array, d: Array) -> Array:
        after: Array = np.cumsum(d[..., ::-1], axis=-1)[..., ::-1].copy()
        after[..., 1:] *= _sigmoid(raw[..., 1:])
        return after

    def loss(self, outputs: Array, targets: ArrayLike, **options: Any) -> tuple[float, Array]:
        return quantile_loss(outputs, targets, self.quantiles, **options)

    def point(self, outputs: Array) -> Array:
        found: Array = outputs[..., self._middle]
        return found

    def sample(self, outputs: Array, count: int, rng: np.random.Generator) -> Array:
        raise ValueError(f"some quantiles are no whole distribution: {_LIKELIHOODS}")


class Gaussian:
    """Mean and variance."""

    size = 2
    positive = slice(1, 2)

    def outputs(self, raw: Array) -> Array:
        found: Array = raw.copy()
        found[..., self.positive] = _softplus(raw[..., self.positive]) + raw.dtype.type(FLOOR)
        return found

    def backward(self, raw: Array, d: Array) -> Array:
        back: Array = d.copy()
        back[..., self.positive] *= _sigmoid(raw[..., self.positive])
        return back

    def loss(self, outputs: Array, targets: ArrayLike, **options: Any) -> tuple[float, Array]:
        return self._paired(gaussian_nll_loss, outputs, targets, **options)

    def point(self, outputs: Array) -> Array:
        found: Array = outputs[..., 0]
        return found

    def sample(self, outputs: Array, count: int, rng: np.random.Generator) -> Array:
        mean, variance = _pair(outputs)
        return rng.normal(mean, np.sqrt(variance), (count, *mean.shape))

    def _paired(
        self, loss: Callable[..., Any], outputs: Array, targets: ArrayLike, **options: Any
    ) -> tuple[float, Array]:
        value, gradients = loss(outputs[..., 0], targets, outputs[..., 1], **options)
        return value, np.stack(gradients, axis=-1)


class NegativeBinomial(Gaussian):
    """Mean and dispersion of counts."""

    positive = slice(0, 2)

    def loss(self, outputs: Array, targets: ArrayLike, **options: Any) -> tuple[float, Array]:
        return self._paired(negative_binomial_nll_loss, outputs, targets, **options)

    def sample(self, outputs: Array, count: int, rng: np.random.Generator) -> Array:
        mean, dispersion = _pair(outputs)
        # a Poisson distribution whose own mean scatters as a gamma distribution
        means = rng.gamma(1 / dispersion, dispersion * mean, (count, *mean.shape))
        counts = rng.poisson(np.minimum(means, MOST)).astype(np.float64)
        return np.where(means < MOST, counts, np.floor(means))


Distribution = Point | Quantiles | Gaussian
DISTRIBUTIONS = ("point", "quantiles", "gaussian", "negative_binomial")


def of_name(name: str, quantiles: Sequence[float]) -> Distribution:
    """Return the kind of one of the names of `DISTRIBUTIONS`; ValueError for another name."""
    check_choice("distribution", name, DISTRIBUTIONS)
    if name == "quantiles":
        return Quantiles(quantiles)
    kinds: dict[str, type[Point | Gaussian]] = {
        "point": Point, "gaussian": Gaussian, "negative_binomial": NegativeBinomial,
    }  # fmt: skip
    return kinds[name]()


def _pair(outputs: Array) -> tuple[Array, Array]:
    """Return the two numbers of each target, float64."""
    given = any_array("outputs", outputs)
    if given.ndim == 0 or given.shape[-1] != 2:
        raise ValueError(f"outputs has shape {given.shape}, expected (..., 2)")
    first, second = np.moveaxis(given.astype(np.float64), -1, 0)
    return first, second


def _softplus(x: Array) -> Array:
    found: Array = np.logaddexp(0, x)
    return found.astype(x.dtype, copy=False)


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    found: Array = np.where(x >= 0, 1, e) / (1 + e)
    return found.astype(x.dtype, copy=False)
