"""What the numbers of a regressor's head mean: forecasts that are valid whatever the head says.

A head gives `size` raw numbers for each target, on the last axis. Each kind has `outputs(raw)`,
its `backward(raw, doutputs)`, the `loss` of outputs, the `point` that they forecast, and `sample`,
which draws what may come. `HasDistribution` is what models with such a head have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import Rng, check_array, check_choice, check_rng, check_size, first
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Module
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
        mean, variance = self._numbers(outputs)
        return rng.normal(mean, np.sqrt(variance), (count, *mean.shape))

    def _paired(
        self, loss: Callable[..., Any], outputs: Array, targets: ArrayLike, **options: Any
    ) -> tuple[float, Array]:
        value, gradients = loss(outputs[..., 0], targets, outputs[..., 1], **options)
        return value, np.stack(gradients, axis=-1)

    def _numbers(self, outputs: Array) -> tuple[Array, Array]:
        """Return the two numbers of each target, float64, of outputs that a call may return."""
        given = any_array("outputs", outputs)
        if given.ndim == 0 or given.shape[-1] != self.size:
            raise ValueError(f"outputs has shape {given.shape}, expected (..., {self.size})")
        wrong = np.zeros(given.shape, np.bool_)
        wrong[..., self.positive] = given[..., self.positive] <= 0
        if wrong.any():
            raise ValueError(f"{first('outputs', given, wrong)}, expected more than 0")
        mean, spread = np.moveaxis(given.astype(np.float64), -1, 0)
        return mean, spread


class NegativeBinomial(Gaussian):
    """Mean and dispersion of counts."""

    positive = slice(0, 2)

    def loss(self, outputs: Array, targets: ArrayLike, **options: Any) -> tuple[float, Array]:
        return self._paired(negative_binomial_nll_loss, outputs, targets, **options)

    def sample(self, outputs: Array, count: int, rng: np.random.Generator) -> Array:
        mean, dispersion = self._numbers(outputs)
        # a Poisson distribution whose own mean scatters as a gamma distribution
        means = rng.gamma(1 / dispersion, dispersion * mean, (count, *mean.shape))
        counts = rng.poisson(np.fmin(means, MOST)).astype(np.float64)
        return np.where(means < MOST, counts, np.floor(means))  # NaN stays NaN


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


class HasDistribution(Module):
    """Base of the models whose head says numbers of a distribution for each target."""

    distribution: Distribution
    head: Linear

    def loss(self, outputs: Array, targets: ArrayLike, **options: Any) -> tuple[float, Array]:
        """Return the mean loss that fits what is forecast, and its gradient.

        Squared error, pinball loss or negative log-likelihood; `options` are `sample_weight` and
        `missing`, as of `fastlstm.nn.mse_loss`. ``Trainer(model, optimizer, model.loss)`` makes it
        small.
        """
        return self.distribution.loss(outputs, targets, **options)

    def point(self, outputs: Array) -> Array:
        """Return one number for each target: the mean, or the quantile that is nearest to 0.5."""
        return self.distribution.point(outputs)

    def sample(self, outputs: Array, count: int, rng: Rng = None) -> Array:
        """Draw what may come by outputs of "gaussian" or "negative_binomial", for bands.

        ``numpy.quantile(model.sample(outputs, 1000), [0.1, 0.9], axis=0)`` has the bands, which of
        counts are in their range, too. Each number is drawn on its own: a sum over targets or steps
        scatters otherwise where they depend on each other.

        Parameters
        ----------
        outputs : as a call returned; what is drawn by NaN is NaN.
        count : how often to draw.
        rng : a generator or a seed; None for one of its own.

        Returns
        -------
        drawn : float64 [count, ...], of the shape of `point` from the second axis on.

        Raises ValueError for another distribution, or for outputs that no call returns.
        """
        return self.distribution.sample(outputs, check_size("count", count), check_rng(rng))

    def _raw_gradient(self, raw: Array, doutputs: Array) -> Array:
        """Return the gradient of the head's numbers after checking that of the outputs."""
        shape = self.distribution.outputs(raw).shape
        d = check_array("doutputs", doutputs, self.head.dtype, shape)
        return np.ascontiguousarray(self.distribution.backward(raw, d))


def _softplus(x: Array) -> Array:
    with np.errstate(invalid="ignore"):  # NaN of NaN
        found: Array = np.logaddexp(0, x)
    return found.astype(x.dtype, copy=False)


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    found: Array = np.where(x >= 0, 1, e) / (1 + e)
    return found.astype(x.dtype, copy=False)
