"""Clusters of an adaptive softmax: where they begin, and how long their vectors are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.nn.check import check_number, check_size

MOST_CLUSTERS = 16  # a mistaken or hostile list must not take all memory
DIV_VALUE = 4.0
IN_HEAD = 0.85  # share of the places whose word the head has, in `choose_cutoffs`


def check_cutoffs(cutoffs: Sequence[int], vocab_size: int) -> list[int]:
    """Return the cutoffs after checking that they increase between 1 and vocab_size - 1."""
    if not isinstance(cutoffs, (Sequence, np.ndarray)):
        raise TypeError(f"cutoffs is {cutoffs!r:.60}, expected a list of integers")
    if not 1 <= len(cutoffs) <= MOST_CLUSTERS:
        raise ValueError(f"cutoffs has {len(cutoffs)} numbers, expected 1 to {MOST_CLUSTERS}")
    found = [check_size(f"cutoffs[{i}]", c) for i, c in enumerate(cutoffs)]
    if any(a >= b for a, b in zip(found, [*found[1:], vocab_size], strict=True)):
        raise ValueError(
            f"cutoffs is {found}, expected increasing numbers below vocab_size, {vocab_size}"
        )
    return found


def vector_sizes(in_features: int, clusters: int, div_value: float) -> list[int]:
    """Return how long the vectors of each cluster are."""
    shrink = min(div_value, in_features + 1.0)  # a larger one leaves as little, but may overflow
    return [int(in_features // shrink ** (i + 1)) for i in range(clusters)]


def shapes_of(
    in_features: int, vocab_size: int, cutoffs: Sequence[int], div_value: float | None, tied: bool
) -> dict[str, tuple[int, int]]:
    """Return the shape of each matrix that an `AdaptiveSoftmax` has of its own, by its name.

    Raises TypeError or ValueError if the options cannot be.
    """
    bounds = [*check_cutoffs(cutoffs, vocab_size), vocab_size]
    words = [b - a for a, b in zip(bounds, bounds[1:], strict=False)]
    div_value = check_div_value(div_value, tied)
    if tied:
        return {"head.clusters.weight": (len(words), in_features)}
    found = {"head.weight": (bounds[0] + len(words), in_features)}
    sizes = vector_sizes(in_features, len(words), div_value)
    for i, (size, count) in enumerate(zip(sizes, words, strict=True)):
        found[f"tail.{i}.0.weight"] = size, in_features
        found[f"tail.{i}.1.weight"] = count, size
    return found


def choose_cutoffs(counts: ArrayLike, div_value: float = DIV_VALUE) -> list[int]:
    """Return cutoffs for words that come so often: the head has those of 85 % of all places.

    The others are one cluster, or two if that saves a tenth of the multiplications.

    Parameters
    ----------
    counts : integers [V], how often each word comes, in falling order but for the first, which
        may stand for all unknown ones.
    div_value : as of `AdaptiveSoftmax`.

    Raises
    ------
    ValueError
        If the counts do not fall, there are fewer than two words, or `div_value` is below 1.
    """
    div_value = check_div_value(div_value, False)
    often = np.asarray(counts, np.float64)
    if not (np.isfinite(often) & (often >= 0)).all():
        raise ValueError("counts has a number that is below 0 or not finite")
    if often.ndim != 1 or len(often) < 2:
        raise ValueError(f"counts has shape {often.shape}, expected at least two words")
    (rises,) = np.nonzero(np.diff(often[1:]) > 0)
    if len(rises):
        word = int(rises[0]) + 2
        raise ValueError(
            "the words are not in the order of their frequency, which an adaptive softmax needs: "
            f"word {word} comes {often[word]:g} times, word {word - 1} {often[word - 1]:g} times"
        )
    V, reached = len(often), np.cumsum(often) / max(1.0, often.sum())
    first = int(np.clip(np.searchsorted(reached, IN_HEAD) + 1, 1, V - 1))
    one, grid = _cost([first], reached, div_value), np.geomspace(first + 1, V, 50).astype(int)
    two = min(([first, int(c)] for c in grid[:-1]), key=lambda c: _cost(c, reached, div_value))
    return two if two[1] < V and _cost(two, reached, div_value) < 0.9 * one else [first]


def _cost(cutoffs: list[int], reached: NDArray[np.float64], div_value: float) -> float:
    """Return the mean number of logits at a place, counted in vectors of full size.

    ``reached[c]`` is the share of places whose word is c or a more frequent one.
    """
    bounds, total = [*cutoffs, len(reached)], float(cutoffs[0] + len(cutoffs))
    for i, (a, b) in enumerate(zip(bounds, bounds[1:], strict=False)):
        total += (reached[b - 1] - reached[a - 1]) * (b - a) * div_value ** -(i + 1)
    return total


def check_div_value(value: float | None, tied: bool) -> float:
    """Return `div_value` after checking it, the usual one for None; with a tied weight it is 1."""
    if value is None:
        return 1.0 if tied else DIV_VALUE
    if not check_number("div_value", value) >= 1 or value == np.inf:
        raise ValueError(f"div_value is {value}, expected at least 1")
    if tied and value != 1:
        raise ValueError(
            f"div_value is {value} with a shared weight, expected 1: all words have vectors of the "
            "same size then"
        )
    return float(value)
