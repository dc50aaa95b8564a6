"""Checks of arguments, shared by all layers; each error names the argument and its value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastlstm import lazy
from fastlstm.counts import count_of
from fastlstm.kernels.call import DTYPES, Array
from fastlstm.kernels.rows import any_array, any_integers, check_lengths

# Where random numbers come from: a generator, a seed for one, None for a new one.
# A name only: NumPy loads its generators on first use.
if TYPE_CHECKING:
    Rng: TypeAlias = np.random.Generator | int | None
else:
    Rng = lazy.hint("numpy.random", "Generator", "int", "None")
# Of a size that arrays are made of: their products fit an index then, so that what is too large for
# the memory at hand is told as that. More is a mistake, or a damaged file.
MOST_SIZE = 1 << 28
MOST_ROWS = 1 << 31  # of a table
MOST_NUMBERS = 1 << 45  # of an array: a processor has no addresses for more
# Names that other libraries give to our arguments.
ELSEWHERE = dict.fromkeys(("hx", "h0", "h_0", "hidden", "initial_state"), "state")
ELSEWHERE |= dict.fromkeys(("sequence_length", "seq_lengths"), "lengths")


def told(value: object) -> str:
    """Return a value that is none of what was expected, for a message of one line."""
    if getattr(value, "ndim", 0):
        return f"a {type(value).__name__} of shape {getattr(value, 'shape', ())}"
    return f"{value!r:.80}"


def check_size(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """Return `value` as an int after checking that it is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {told(value)}, expected an integer")
    if value < least:
        raise ValueError(f"{name} is {value}, expected at least {least}")
    if most is not None and value > most:
        raise ValueError(f"{name} is {value}, expected at most {most:,}")
    return int(value)


def check_number(name: str, value: float) -> float:
    """Return `value` as a float after checking that it is a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} is {told(value)}, expected a number")
    return float(value)


def check_flag(name: str, value: object) -> bool:
    """Return `value` as a bool after checking that it is one, also of NumPy, or 0 or 1.

    What else has a truth value is a mistake: "no" is true.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)) and value in (0, 1):
        return bool(value)
    told = repr(value) if value is None or isinstance(value, (str, int, float)) else ""
    raise TypeError(f"{name} is {told[:60] or f'a {type(value).__name__}'}, expected True or False")


def check_probability(name: str, value: float) -> float:
    """Return `value` as a float after checking that it lies in 0..1."""
    if not 0 <= check_number(name, value) <= 1:
        raise ValueError(f"{name} is {value}, expected 0 to 1")
    return float(value)


def check_unchanged(name: str, now: object, value: object) -> object:
    """Return `now`, an option that something was made for, after checking that `value` is equal."""
    with suppress(TypeError, ValueError):  # an array has no truth value
        if now == value:
            return now
    raise AttributeError(
        f"{name} is {now!r} and cannot become {value!r:.60}, as the module was made for it: make "
        "another one"
    )


def refuse_keywords(
    owner: object, unknown: Mapping[str, object], taker: Callable[..., object]
) -> NoReturn:
    """Raise the TypeError of unknown keywords, naming the one of `taker` that was probably meant:
    it is known by another name elsewhere, or spelled alike."""
    from difflib import get_close_matches

    name = next(iter(unknown))
    taken = inspect.signature(taker).parameters.values()
    names = [p.name for p in taken if p.kind is not p.VAR_KEYWORD and p.name != name]
    meant = [n for n in names if n == ELSEWHERE.get(name)] or get_close_matches(name, names, 1, 0.8)
    hint = f": say {meant[0]}=" if meant else ""
    raise TypeError(f"{type(owner).__name__} got an unexpected keyword argument {name!r}{hint}")


def check_choice(name: str, value: object, valid: tuple[str, ...]) -> str:
    """Return `value` after checking that it is one of `valid`."""
    if not isinstance(value, str) or value not in valid:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(valid)}")
    return str(value)


def check_dtype(value: DTypeLike) -> np.dtype[Any]:
    """Return the NumPy dtype of `value` after checking that it is float32 or float64."""
    try:
        dtype = np.dtype(value)
    except (TypeError, ValueError, SyntaxError):  # NumPy parses a string with Python's own parser
        dtype = np.dtype(object)
    if value is None or dtype not in DTYPES:
        raise ValueError(f"dtype is {value!r}, expected float32 or float64")
    return dtype


def check_rng(rng: Rng) -> np.random.Generator:
    """Return a generator: `rng` itself, one seeded by that integer, a new unseeded one for None."""
    if rng is None:
        return np.random.default_rng()
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool) or not isinstance(rng, (int, np.integer)):
        raise TypeError(f"rng is {rng!r}, expected a numpy.random.Generator, a seed or None")
    if rng < 0:
        raise ValueError(f"rng is {rng}, expected a seed of at least 0")
    return np.random.default_rng(int(rng))


def one_rng(rng: Rng) -> np.random.Generator | None:
    """Return the one generator of a whole pass: each layer would start a seed anew."""
    return None if rng is None else check_rng(rng)


def as_array(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Return an array, or numbers in lists, as an array of `dtype`; TypeError if that loses any.

    Python's numbers have no dtype to keep to: those in lists are rounded as `numpy.array` does.
    """
    if type(value) is np.ndarray and (value.dtype is dtype or value.dtype == dtype):
        return value
    if not isinstance(value, (np.ndarray, list)):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a NumPy array of {dtype}")
    given: Array = any_array(name, value)
    if given.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {given.dtype}, expected {dtype}")
    with np.errstate(all="ignore"):
        array: Array = given.astype(dtype)
        back = array.astype(given.dtype)
    if given.dtype.kind == "f" and _of_numbers(value):
        lost = bool((np.isinf(array) & np.isfinite(given)).any())
    else:
        lost = not np.array_equal(back, given, equal_nan=given.dtype.kind == "f")
    if lost:
        raise TypeError(
            f"{name} has dtype {given.dtype}, expected {dtype}, which does not hold its values "
            f'exactly: convert it with .astype("{dtype}")'
        )
    return array


def _of_numbers(value: Any) -> bool:
    """Whether these are lists of Python's numbers, and not of arrays."""
    while isinstance(value, list) and value:
        value = value[0]
    return not hasattr(value, "dtype")


def check_array(
    name: str, value: Any, dtype: np.dtype[Any], shape: tuple[int | None, ...]
) -> Array:
    """Return `value` as an array after checking that it is one of `dtype` and `shape`.

    A None in `shape` stands for any size. Lists and other dtypes are converted as by `as_array`.
    The result has a contiguous last axis and aligned elements; it is `value` itself if that has.
    """
    array = as_array(name, value, dtype)
    fits = array.shape == shape or (
        len(shape) == array.ndim
        and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    )
    if not fits:
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        expected += "," if len(shape) == 1 else ""
        raise ValueError(f"{name} has shape {array.shape}, expected ({expected})")
    if array.size > MOST_NUMBERS:  # one number in all places, as numpy.broadcast_to makes it
        raise ValueError(f"{name} has shape {array.shape}, more numbers than any memory holds")
    if array.ndim and (array.strides[-1] != array.itemsize or not array.flags.aligned):
        return np.array(array, order="C")
    return array


def check_ids(name: str, value: object, size: int, ndim: int | None = None) -> NDArray[np.integer]:
    """Return `value`, C-contiguous, after checking that it holds integers in 0..size-1."""
    ids = any_integers(name, value)
    if ndim is not None and ids.ndim != ndim:
        raise ValueError(f"{name} has shape {ids.shape}, expected {count_of(ndim, 'axis', 'axes')}")
    # A broadcast array may claim more elements than memory holds: the copy fails at once, where
    # looking at each of them would take hours.
    ids = np.asarray(ids, order="C")
    if ids.size and (ids.min() < 0 or ids.max() >= size):
        found = first(name, ids, (ids < 0) | (ids >= size))
        raise IndexError(f"{found}, expected 0 to {size - 1}")
    return ids


def first(name: str, array: Array, wrong: Array) -> str:
    """Return the place and value of the first element that is wrong, as an error tells them."""
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{name}[{', '.join(map(str, at))}] is {array[at]}"


def real_steps(shape: tuple[int, ...], lengths: ArrayLike | None) -> NDArray[np.bool_]:
    """Return which steps are real, [N,T] of a shape [N,T,...]."""
    N, T = shape[:2]
    if lengths is None:
        return np.ones((N, T), np.bool_)
    real: NDArray[np.bool_] = np.arange(T) < check_lengths(lengths, T, N)[:, None]
    return real


def first_not_finite(name: str, array: Array, lengths: ArrayLike | None) -> str | None:
    """Return the place and value of the first number of a real step that is none; None if all are.

    The array is [N,T,...], and `lengths` say how many steps of a row are real.
    """
    wrong = ~np.isfinite(array)
    if not wrong.any():
        return None
    wrong[~real_steps(array.shape, lengths)] = False
    return first(name, array, wrong) if wrong.any() else None
