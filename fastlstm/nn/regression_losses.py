"""Losses of regressions: each returns the mean over all elements and its gradient.

What they have in common. `targets` are numbers, rounded to no less than float64, in which all is
computed; gradients have the dtype of `outputs`. A target that is NaN is missing: an error by
default, and with ``missing="skip"`` no part of the mean, with a gradient of 0. If all are missing
the loss is 0. `sample_weight` has the shape of `targets` and is a factor on each element's loss,
as everywhere here: the sum is divided by the number of elements, not by that of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import check_choice, check_flag, check_number, first
from fastlstm.nn.log_gamma import log1p_rest, log_factorial, log_rising
from fastlstm.nn.loss_checks import check_outputs, check_weights
from fastlstm.nn.module import Array

MISSING = ("error", "skip")


class _Compared(NamedTuple):
    """Targets as float64 and what each counts in the mean; of a missing one both are 0."""

    targets: Array
    share: Array


def mse_loss(
    outputs: Array, targets: ArrayLike, *, sample_weight: ArrayLike | None = None,
    missing: str = "error",
) -> tuple[float, Array]:  # fmt: skip
    """Squared error.

    Parameters
    ----------
    outputs : float array of any shape.
    targets : same shape.
    sample_weight : same shape, a factor on each element's loss; None for none.
    missing : "error" refuses targets that are NaN, "skip" leaves them out of the mean.

    Returns
    -------
    loss : mean over all elements that are not missing.
    doutputs : gradient of the mean, shape and dtype of `outputs`.

    Raises
    ------
    TypeError, ValueError
        If an argument's type, dtype, shape or range does not fit, or a target is missing.
    """
    x = check_outputs("outputs", outputs)
    given = _compare(targets, x.shape, x, sample_weight, missing)
    off = _off(x, given)
    return _total(off**2, given), _gradient(2 * off, given, x)


def l1_loss(
    outputs: Array, targets: ArrayLike, *, sample_weight: ArrayLike | None = None,
    missing: str = "error",
) -> tuple[float, Array]:  # fmt: skip
    """Absolute error, whose gradient is 0 where there is no error; else as `mse_loss`."""
    x = check_outputs("outputs", outputs)
    given = _compare(targets, x.shape, x, sample_weight, missing)
    off = _off(x, given)
    return _total(np.abs(off), given), _gradient(np.sign(off), given, x)


def huber_loss(
    outputs: Array, targets: ArrayLike, delta: float = 1.0, *,
    sample_weight: ArrayLike | None = None, missing: str = "error",
) -> tuple[float, Array]:  # fmt: skip
    """Half the squared error up to `delta`, straight on from there (Huber 1964); as in torch.

    Parameters
    ----------
    delta : above 0.
    outputs, targets, sample_weight, missing : as of `mse_loss`, and so what is returned.
    """
    x = check_outputs("outputs", outputs)
    bend = _above_zero("delta", delta)
    given = _compare(targets, x.shape, x, sample_weight, missing)
    off = _off(x, given)
    cut = np.clip(off, -bend, bend)
    return _total(cut * (off - 0.5 * cut), given), _gradient(cut, given, x)


def quantile_loss(
    outputs: Array, targets: ArrayLike, quantiles: Sequence[float], *,
    sample_weight: ArrayLike | None = None, missing: str = "error",
) -> tuple[float, Array]:  # fmt: skip
    """Pinball loss of several quantiles (Koenker & Bassett 1978).

    An error e = target - output costs ``q e`` if the target is above and ``(q - 1) e`` if it is
    below; where there is none the gradient is 0.

    Parameters
    ----------
    outputs : float [..., Q], the quantiles of each target on the last axis.
    targets : [...].
    quantiles : Q probabilities between 0 and 1, in rising order.
    sample_weight : [...], a factor on each target's loss; None for none.
    missing : as of `mse_loss`.

    Returns
    -------
    loss : mean over all targets that are not missing and over the quantiles.
    doutputs : gradient of the mean, shape and dtype of `outputs`.

    Raises
    ------
    TypeError, ValueError
        If an argument's type, dtype, shape or range does not fit, or a target is missing.
    """
    q = check_quantiles(quantiles)
    x = check_outputs("outputs", outputs)
    if x.ndim == 0 or x.shape[-1] != len(q):
        raise ValueError(
            f"outputs has shape {x.shape}, expected (..., {len(q)}), one for each quantile"
        )
    given = _compare(targets, x.shape[:-1], x, sample_weight, missing)
    here = (given.share > 0)[..., None]
    off = np.where(here, given.targets[..., None] - x.astype(np.float64), 0)
    slope = np.where(off > 0, q, q - 1) * (off != 0)
    loss = _total((slope * off).mean(axis=-1), given)
    return loss, (-slope / len(q) * given.share[..., None]).astype(x.dtype)


def gaussian_nll_loss(
    outputs: Array, targets: ArrayLike, var: Array, full: bool = False, eps: float = 1e-6, *,
    sample_weight: ArrayLike | None = None, missing: str = "error",
) -> tuple[float, tuple[Array, Array]]:  # fmt: skip
    """Negative log-likelihood of targets that scatter normally; as in torch.

    Parameters
    ----------
    outputs : float array of any shape, the means.
    targets : same shape.
    var : same shape and dtype, the variances, each at least 0; below `eps` they count as `eps`,
        with the gradient that `eps` has.
    full : add the constant log(2 pi) / 2.
    eps : above 0.
    sample_weight, missing : as of `mse_loss`.

    Returns
    -------
    loss : mean over all elements that are not missing.
    doutputs, dvar : gradients of the mean.

    Raises
    ------
    TypeError, ValueError
        If an argument's type, dtype, shape or range does not fit, or a target is missing.
    """
    x = check_outputs("outputs", outputs)
    least = _above_zero("eps", eps)
    v = np.maximum(_parameter("var", var, x, 0), least)
    given = _compare(targets, x.shape, x, sample_weight, missing)
    off = _off(x, given)
    loss = 0.5 * (np.log(v) + off / v * off)
    if check_flag("full", full):
        loss += 0.5 * math.log(2 * math.pi)
    scaled = off / v
    dv = 0.5 * (1 / v - scaled**2)
    return _total(loss, given), (_gradient(scaled, given, x), _gradient(dv, given, x))


def negative_binomial_nll_loss(
    outputs: Array, targets: ArrayLike, dispersion: Array, *,
    sample_weight: ArrayLike | None = None, missing: str = "error",
) -> tuple[float, tuple[Array, Array]]:  # fmt: skip
    """Negative log-likelihood of counts whose variance is ``mean + dispersion * mean^2``.

    With a dispersion near 0 it is that of Poisson's distribution. (In
    ``torch.distributions.NegativeBinomial`` the dispersion is ``1 / total_count`` and the logits
    are ``log(dispersion * mean)``.)

    Parameters
    ----------
    outputs : float array of any shape, the means, each above 0.
    targets : same shape, whole numbers of at least 0.
    dispersion : shape and dtype of `outputs`, each above 0; below 1e-300 they count as that.
    sample_weight, missing : as of `mse_loss`.

    Returns
    -------
    loss : mean over all elements that are not missing.
    doutputs, ddispersion : gradients of the mean.

    Raises
    ------
    TypeError, ValueError
        If an argument's type, dtype, shape or range does not fit, or a target is missing.
    """
    x = check_outputs("outputs", outputs)
    mean = _parameter("outputs", x, x, np.nextafter(0, 1))
    spread = np.maximum(_parameter("dispersion", dispersion, x, np.nextafter(0, 1)), 1e-300)
    given = _compare(targets, x.shape, x, sample_weight, missing)
    y = given.targets
    counts = (y >= 0) & (y == np.floor(y))
    if not counts.all():
        raise ValueError(f"{first('targets', y, ~counts)}, expected a whole number of at least 0")
    r, odds = 1 / spread, spread * mean
    log_rise, slope = log_rising(y, r)
    loss = log_factorial(y) - log_rise + (r + y) * np.log1p(odds) - y * np.log(mean)
    dmean = (1 - y / mean) / (1 + odds)
    # r^2 (odds / (1 + odds) - log(1 + odds)) in a form that does not cancel, and the rest
    dspread = mean**2 * (log1p_rest(odds) - 1 / (1 + odds)) + y * mean / (1 + odds) - slope
    return _total(loss, given), (_gradient(dmean, given, x), _gradient(dspread, given, x))


def check_quantiles(quantiles: Sequence[float]) -> Array:
    """Return quantiles as float64 [Q] after checking that they rise between 0 and 1."""
    q = any_array("quantiles", quantiles)
    if q.dtype.kind not in "iuf":
        raise TypeError(f"quantiles has dtype {q.dtype}, expected numbers")
    if q.ndim != 1 or not q.size:
        raise ValueError(f"quantiles has shape {q.shape}, expected (Q,), Q at least 1")
    q = q.astype(np.float64)
    inside = (q > 0) & (q < 1)
    if not inside.all():
        raise ValueError(f"{first('quantiles', q, ~inside)}, expected a number between 0 and 1")
    if not (np.diff(q) > 0).all():
        raise ValueError(f"quantiles is {q.tolist()}, expected each above the one before")
    return q


def check_targets(targets: ArrayLike, shape: tuple[int, ...], missing: str = "error") -> Array:
    """Return targets as float64 after checking shape and numbers; NaN only with "skip"."""
    skip = check_choice("missing", missing, MISSING) == "skip"
    t = any_array("targets", targets)
    if t.dtype.kind not in "biuf":
        raise TypeError(f"targets has dtype {t.dtype}, expected numbers")
    if t.shape != shape:
        raise ValueError(f"targets has shape {t.shape}, expected {shape} (that of outputs)")
    t = t.astype(np.float64)
    if np.isinf(t).any():
        raise ValueError(f"{first('targets', t, np.isinf(t))}, expected a finite number")
    if not skip and np.isnan(t).any():
        raise ValueError(
            f"{first('targets', t, np.isnan(t))}, which is missing: fill it, or leave it out of "
            'the mean by missing="skip"'
        )
    return t


def _compare(
    targets: ArrayLike, shape: tuple[int, ...], like: Array, sample_weight: ArrayLike | None,
    missing: str,
) -> _Compared:  # fmt: skip
    """Return the checked targets and the share of each in the mean."""
    t = check_targets(targets, shape, missing)
    there = ~np.isnan(t)
    share = there / max(1, np.count_nonzero(there))
    if sample_weight is not None:
        share = share * check_weights(sample_weight, shape, like)
    return _Compared(np.where(there, t, 0), share)


def _off(x: Array, given: _Compared) -> Array:
    """Return the errors as float64; 0 for what does not count, whatever its output."""
    off: Array = np.where(given.share > 0, x.astype(np.float64) - given.targets, 0)
    return off


def _total(loss: Array, given: _Compared) -> float:
    return float(np.where(given.share > 0, loss * given.share, 0).sum())


def _gradient(slope: Array, given: _Compared, like: Array) -> Array:
    d: Array = np.where(given.share > 0, slope * given.share, 0)
    with np.errstate(over="ignore"):  # the trainer tells of a gradient that is not finite
        return d.astype(like.dtype)


def _parameter(name: str, value: Array, like: Array, least: float) -> Array:
    """Return a distribution's parameter as float64 after checking that it fits the outputs.

    NaN passes, as it does in `outputs`: the loss is NaN then.
    """
    array = check_outputs(name, value)
    if array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}, expected {like.shape} and "
            f"{like.dtype} (those of outputs)"
        )
    wrong = array < least
    if wrong.any():
        expected = "at least 0" if least == 0 else "a number above 0"
        raise ValueError(f"{first(name, array, wrong)}, expected {expected}")
    return array.astype(np.float64)


def _above_zero(name: str, value: float) -> float:
    number = check_number(name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} is {value}, expected a finite number above 0")
    return number
