"""Checks of what losses are given; each error names the argument and its value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels.call import DTYPES
from fastlstm.kernels.masked import refuse_masked
from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import first
from fastlstm.nn.module import Array


def check_outputs(name: str, value: object, expected: str = "at least one element") -> Array:
    """Return `value` after checking that it is a float32 or float64 array, not empty nor masked."""
    if not isinstance(value, np.ndarray) or value.dtype not in DTYPES:
        kind = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} is {kind}, expected a float32 or float64 array")
    if not value.size:
        raise ValueError(f"{name} has shape {value.shape}, expected {expected}")
    refuse_masked(name, value)
    return value


def check_weights(sample_weight: ArrayLike, shape: tuple[int, ...], like: Array) -> Array:
    """Return the factors in the dtype of `like`, after checking that none is negative."""
    weight = any_array("sample_weight", sample_weight)
    if weight.dtype.kind not in "iuf":
        raise TypeError(f"sample_weight has dtype {weight.dtype}, expected numbers")
    if weight.shape != shape:
        raise ValueError(f"sample_weight has shape {weight.shape}, expected {shape}")
    weight = weight.astype(like.dtype, copy=False)
    inside = (weight >= 0) & np.isfinite(weight)
    if not inside.all():
        raise ValueError(f"{first('sample_weight', weight, ~inside)}, expected at least 0")
    return weight
