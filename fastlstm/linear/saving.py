"""A classifier as named arrays and options, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.kernels.sparse import read_keys
from fastlstm.linear.counting import Features
from fastlstm.linear.options import Range, check_range
from fastlstm.linear.weighting import Reals

if TYPE_CHECKING:
    from fastlstm.linear.bag_of_ngrams import BagOfNgrams

MOST = 1e30  # that a number may be: logits of such are still finite
VERSION = 1  # of the hashes and of what is made of a text
Arrays = Mapping[str, NDArray[Any]]
Parts = tuple[Features, NDArray[np.float32], NDArray[np.float32], Reals, int]


def state(model: BagOfNgrams) -> dict[str, NDArray[Any]]:
    """Return a classifier's arrays by name."""
    return {
        "word_keys": model.features.keys[0],
        "char_keys": model.features.keys[1],
        "scales": model.scales,
        "weights": model.weights,
        "intercept": model.intercept,
    }


def options(model: BagOfNgrams) -> dict[str, Any]:
    """Return the rest, for JSON."""
    chars = model.features.chars
    return {
        "version": VERSION,
        "words": list(model.features.words),
        "chars": None if chars is None else list(chars),
        "num_classes": model.num_classes,
    }


def read(arrays: Arrays, given: Mapping[str, Any]) -> Parts:
    """Return what a classifier is made of; ValueError if something is missing or damaged."""
    if given.get("version") != VERSION:
        raise ValueError(f"version is {given.get('version')!r}, expected {VERSION}")
    words = _range("words", given.get("words"))
    chars = None if given.get("chars") is None else _range("chars", given["chars"])
    classes = given.get("num_classes")
    if type(classes) is not int or not 2 <= classes < 2**31:
        raise ValueError(f"num_classes is {classes!r}, expected a number from 2")
    keys = [_keys(name, arrays) for name in ("word_keys", "char_keys")]
    F, P = len(keys[0]) + len(keys[1]), 1 if classes == 2 else classes
    if chars is None and len(keys[1]):
        raise ValueError(
            f"char_keys has {count_of(len(keys[1]), 'entry', 'entries')}, expected none without "
            "chars"
        )
    scales = _array("scales", arrays, np.float32, (F,))
    weights = _array("weights", arrays, np.float32, (F, P))
    intercept = _array("intercept", arrays, np.float64, (P,))
    if (scales < 0).any():
        raise ValueError("scales has a negative number")
    return Features(words, chars, *keys), scales, weights, intercept, classes


def _range(name: str, value: Any) -> Range:
    pair = tuple(value) if isinstance(value, list) else value
    check_range(name, pair)
    low, high = pair
    return low, high


def _keys(name: str, arrays: Arrays) -> NDArray[np.uint64]:
    return read_keys(_array(name, arrays, np.uint64, None), name)


def _array(
    name: str, arrays: Arrays, dtype: type[np.generic], shape: tuple[int, ...] | None
) -> NDArray[Any]:
    array = arrays.get(name)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} is missing")
    if array.dtype != dtype:
        raise ValueError(f"{name} is of {array.dtype}, expected {np.dtype(dtype)}")
    if array.ndim != 1 if shape is None else array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape or '(any,)'}")
    if not (abs(array) <= MOST).all():
        raise ValueError(f"{name} has a number that is not finite, or beyond {MOST:g}")
    return np.ascontiguousarray(array)
