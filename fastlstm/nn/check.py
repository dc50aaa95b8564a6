"""Checks of arguments, shared by all layers; each error names the argument and its value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlstm.kernels.spec import DTYPES, Array


def check_size(name: str, value: object, least: int = 1) -> int:
    """Return `value` as an int after checking that it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}, expected an integer")
    if value < least:
        raise ValueError(f"{name} is {value}, expected at least {least}")
    return int(value)


def check_probability(name: str, value: float) -> float:
    """Return `value` as a float after checking that it lies in 0..1."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} is {value!r}, expected a number")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}, expected 0 to 1")
    return float(value)


def check_choice(name: str, value: object, valid: tuple[str, ...]) -> str:
    """Return `value` after checking that it is one of `valid`."""
    if value not in valid:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(valid)}")
    return str(value)


def check_dtype(value: DTypeLike) -> np.dtype[Any]:
    """Return the NumPy dtype of `value` after checking that it is float32 or float64."""
    try:
        dtype = np.dtype(value)
    except TypeError:
        dtype = np.dtype(object)
    if value is None or dtype not in DTYPES:
        raise ValueError(f"dtype is {value!r}, expected float32 or float64")
    return dtype


def check_rng(rng: np.random.Generator | None) -> np.random.Generator:
    """Return `rng`, or a new unseeded generator for None."""
    if rng is None:
        return np.random.default_rng()
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is {rng!r}, expected a numpy.random.Generator or None")
    return rng


def check_array(
    name: str, value: object, dtype: np.dtype[Any], shape: tuple[int | None, ...]
) -> Array:
    """Return `value` after checking that it is an array of `dtype` and `shape`.

    A None in `shape` stands for any size. The result has a contiguous last axis and aligned
    elements; it is `value` itself if that has.
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a NumPy array of {dtype}")
    if value.dtype != dtype:
        raise TypeError(f"{name} has dtype {value.dtype}, expected {dtype}: convert one of the two")
    fits = len(shape) == value.ndim and all(
        want in (None, have) for want, have in zip(shape, value.shape, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        expected += "," if len(shape) == 1 else ""
        raise ValueError(f"{name} has shape {value.shape}, expected ({expected})")
    if value.ndim and (value.strides[-1] != value.itemsize or not value.flags.aligned):
        return np.array(value, order="C")
    return value


def check_ids(name: str, value: object, size: int, ndim: int | None = None) -> NDArray[np.integer]:
    """Return `value` as an array after checking that it holds integers in 0..size-1."""
    ids = np.asarray(value)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {ids.dtype}, expected integers")
    if ndim is not None and ids.ndim != ndim:
        raise ValueError(f"{name} has shape {ids.shape}, expected {ndim} axes")
    if ids.size and (ids.min() < 0 or ids.max() >= size):
        at = tuple(int(i) for i in np.argwhere((ids < 0) | (ids >= size))[0])
        place = ", ".join(map(str, at))
        raise IndexError(f"{name}[{place}] is {ids[at]}, expected 0 to {size - 1}")
    return ids
