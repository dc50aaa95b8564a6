"""Numbers of a series as users have them: lists, arrays, tables of pandas, missing values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.column_names import names_of
from fastlstm.column_types import as_array, as_floats, place_told, refuse_times
from fastlstm.kernels.masked import is_masked

Floats = NDArray[np.float64]

EPS = np.finfo(np.float64).eps
FEWEST = 100  # different numbers that float64 must have from the least to the greatest
SMALLEST, LARGEST = 1e-100, 1e100  # whose squares are numbers


def unmasked(values: Any) -> Any:
    """Return what is given, of a masked array of numbers the numbers with NaN where it masks."""
    if is_masked(values) and values.dtype.kind in "biuf":
        return np.where(np.ma.getmaskarray(values), np.nan, np.ma.getdata(values))
    return values


def measured(name: str, values: Any) -> Floats:
    """Return numbers of any shape as float64, NaN where one is missing; TypeError for times."""
    refuse_times(name, values)
    return as_floats(name, unmasked(values)).astype(np.float64)


def read_numbers(name: str, values: Any) -> Floats:
    """Return numbers as float64 [T, columns], NaN where one is missing.

    Raises TypeError or ValueError if they are no such numbers, or so large or so small that their
    squares are not.
    """
    refuse_times(name, values, "the times of a series are its stamps")
    if isinstance(values, (str, bytes, Mapping, Iterator, Set)):
        raise TypeError(
            f"{name} is a {type(values).__name__}, expected numbers of shape (steps,) or (steps, "
            "columns); several series are a list of arrays"
        )
    values = unmasked(values)
    try:
        array = as_array(values)
    except ValueError as error:
        raise ValueError(
            f"{name} has rows of different lengths, expected numbers of shape (steps,) or (steps, "
            "columns); several series are a list of arrays"
        ) from error
    if array.dtype == object and not array.ndim:
        raise TypeError(
            f"{name} is a {type(values).__name__}, of which NumPy makes no array: expected numbers "
            "of shape (steps,) or (steps, columns)"
        )
    if array.dtype.kind not in "biufO" or array.ndim not in (1, 2):
        raise TypeError(
            f"{name} has dtype {array.dtype} and shape {array.shape}, expected numbers of shape "
            "(steps,) or (steps, columns)"
        )
    floats = as_floats(name, array, columns=names_of(values))
    found = floats.astype(np.float64, order="C")  # sums have the bits of a file's arrays
    found = found[:, None] if found.ndim == 1 else found
    size = np.abs(np.where(np.isfinite(found), found, 0)).max(axis=0, initial=0)
    wrong = (size > LARGEST) | ((size > 0) & (size < SMALLEST))
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(
            f"{name} has {size[at]:g} for the largest number of column {at}, expected {SMALLEST:g} "
            f"to {LARGEST:g}: scale it"
        )
    return found


def read_targets(name: str, values: Any) -> Floats:
    """Return the numbers of a series as `read_numbers` does.

    ValueError if one is infinite, or if they differ in digits that float64 does not have.
    """
    found = read_numbers(name, values)
    if not found.shape[1]:
        raise ValueError(f"{name} has shape {found.shape}, expected at least one column")
    wrong = np.isinf(found)
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))[: max(np.ndim(values), 1)]
        where = place_told(place, names_of(values))
        raise ValueError(
            f"{name} holds infinite numbers, first in {name}{where}, expected finite ones or NaN"
        )
    if len(found):
        _check_digits(name, unmasked(values), found)
    return found


def _check_digits(name: str, values: Any, found: Floats) -> None:
    """Raise ValueError if numbers differ in digits that they have lost as float64, `found`."""
    given = np.asarray(values)
    given = given.reshape(found.shape) if given.dtype.kind in "iu" else found
    least, most = np.fmin.reduce(given), np.fmax.reduce(given)
    size = np.fmax.reduce(np.abs(found))
    lost = (least < most) & (most.astype(float) - least.astype(float) < FEWEST * EPS * size)
    if lost.any():
        at = int(lost.argmax())
        raise ValueError(
            f"{name} has {size[at]:g} in column {at}, beside which float64 does not tell apart "
            f"what is there from {least[at]} to {most[at]}: take the level off"
        )
