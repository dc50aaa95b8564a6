"""The gamma function's logarithm and what the negative binomial needs of it, in NumPy.

Stirling's series is exact to float64 from about 10 on, so arguments are moved up by `SHIFT`, by
the recurrence of the gamma function. All arrays are float64.
"""

from __future__ import annotations

import numpy as np

from fastlstm.nn.module import Array

SHIFT = 10
# Stirling's series of log Gamma(z): the sum of c / z^(2 k + 1) for k = 0, 1, ...
COEFFICIENTS = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def log_factorial(y: Array) -> Array:
    """Return log(y!) of numbers of at least 0."""
    z = y + (1 + SHIFT)
    result: Array = (z - 0.5) * np.log(z) - z + 0.5 * np.log(2 * np.pi) + _rest(z)
    for k in range(SHIFT):
        result -= np.log(y + (1 + k))
    return result


def log_rising(y: Array, r: Array) -> tuple[Array, Array]:
    """Return log(Gamma(y + r) / (Gamma(r) r^y)) and its derivative by 1 / r.

    Of a whole number y it is the sum of log(1 + k / r) for k below y, and the derivative that of
    k / (1 + k / r). Both keep their digits for r up to 1e300, where other formulas cancel.
    """
    R = r + SHIFT
    u, q = y / R, r / R
    value = (y + R - 0.5) * np.log1p(u) - y + y * np.log1p(SHIFT / r) + _rest(y + R) - _rest(R)
    slope = (q * y) ** 2 * log1p_rest(u) - 0.5 * q * y * (r / (R + y)) + SHIFT * q * y
    slope -= (r / (y + R)) ** 2 * _rest_slope(y + R) - q**2 * _rest_slope(R)
    for k in range(SHIFT):
        value -= np.log1p(y / (r + k))
        slope -= y * (r / (r + k)) * (r / (y + r + k))
    return value, slope


def log1p_rest(x: Array) -> Array:
    """Return (x - log(1 + x)) / x^2 of numbers of at least 0; it is 1/2 at 0."""
    small = x < 0.01
    safe = np.where(small, 1.0, x)
    series = np.zeros_like(x)
    for k in range(9, 1, -1):  # 1/2 - x/3 + x^2/4 - ...
        series = 1 / k - x * series
    result: Array = np.where(small, series, (safe - np.log1p(safe)) / safe / safe)
    return result


def _rest(z: Array) -> Array:
    """Return Stirling's series of z."""
    w = 1 / z
    total = np.zeros_like(z)
    for c in reversed(COEFFICIENTS):
        total = total * w * w + c
    return total * w


def _rest_slope(z: Array) -> Array:
    """Return z^2 times the derivative of `_rest`."""
    w = 1 / z
    total = np.zeros_like(z)
    for k, c in reversed(list(enumerate(COEFFICIENTS))):
        total = total * w * w - (2 * k + 1) * c
    return total
