"""Seasons of generated series: days within weeks, months, cycles, and series that have none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from fastlstm.forecast import find_season
from fastlstm.forecast.repeats import _errors, _total_error, best_repeat

Floats = NDArray[np.float64]
Series = Callable[[np.random.Generator], Floats]


def remembering(rng: np.random.Generator, count: int, memory: float, spread: float) -> Floats:
    """Return noise of which each value keeps a part of the one before."""
    found = rng.normal(0, spread, count)
    for t in range(1, count):
        found[t] += memory * found[t - 1]
    return found


def water(count: int, noise: float) -> Series:
    """Hours of flow in a pipe: two peaks a day, weekends, growth and a level that wanders."""

    def make(rng: np.random.Generator) -> Floats:
        t = np.arange(count)
        hour, weekend = t % 24, t // 24 % 7 >= 5
        day = 0.3 + np.exp(-(((hour - 7.5) / 2) ** 2)) + 0.7 * np.exp(-(((hour - 19) / 3) ** 2))
        level = 1 + 0.4 * t / count + 0.2 * np.cumsum(rng.normal(size=count)) / np.sqrt(count)
        return np.asarray(day * (1 + 0.25 * weekend) * level * np.exp(rng.normal(0, noise, count)))

    return make


def failing(rng: np.random.Generator) -> Floats:
    """Hours of a smooth day and three failures, two of them 116 hours apart."""
    y = 100 + hours(1268, 0.9, 0.3)(rng)
    for first, length in ((94, 14), (210, 13), (872, 13)):
        y[first : first + length] = 24 + 0.1 * rng.normal(size=length)
    return y


def hours(count: int, memory: float, noise: float) -> Series:
    """Hours with a smooth day of half the height at weekends, a trend and noise."""

    def make(rng: np.random.Generator) -> Floats:
        t = np.arange(count)
        day = np.sin(2 * np.pi * t / 24 + rng.uniform(0, 6))
        day += 0.5 * np.sin(4 * np.pi * t / 24 + rng.uniform(0, 6))
        worked = np.where(t // 24 % 7 < 5, 1, 0.5)
        return np.asarray(day * worked + 2 * t / count + remembering(rng, count, memory, noise))

    return make


def pattern(season: int, count: int, memory: float, noise: float) -> Series:
    """A rough season on a trend, with noise."""

    def make(rng: np.random.Generator) -> Floats:
        t = np.arange(count)
        trend = 4 * t / count
        shape = rng.normal(size=season)
        return np.asarray(shape[t % season] + trend + remembering(rng, count, memory, noise))

    return make


def growth(count: int, noise: float) -> Series:
    """Months that grow in proportion, with a year."""

    def make(rng: np.random.Generator) -> Floats:
        t = np.arange(count)
        year = 1 + 0.2 * np.sin(2 * np.pi * t / 12) + 0.1 * np.cos(4 * np.pi * t / 12)
        return np.asarray(np.exp(0.01 * t) * year * np.exp(rng.normal(0, noise, count)))

    return make


def cycle(rng: np.random.Generator) -> Floats:
    """A cycle of about 11 steps that runs out of step with itself."""
    place = np.cumsum(2 * np.pi / 11 * (1 + 0.15 * rng.normal(size=309)))
    height = 1 + 0.4 * remembering(rng, 309, 0.9, 0.3)
    return np.asarray(height * (1 + np.sin(place)) + 0.2 * rng.normal(size=309))


@pytest.mark.parametrize(
    ("make", "seasons"),
    [
        # where weekdays differ by more than noise, the week foretells better than the day
        (water(500, 0.1), {24, 168}), (water(1268, 0.1), {24, 168}), (water(1268, 0.3), {24, 168}),
        (failing, {24}), (hours(336, 0, 0.3), {24}), (hours(1268, 0, 1.0), {24}),
        (hours(1268, 0.95, 0.3), {24}),
        (hours(3000, 0.9, 0.3), {24}), (pattern(12, 60, 0.5, 0.4), {12}),
        (pattern(12, 144, 0.5, 0.5), {12}), (pattern(7, 365, 0.7, 0.5), {7}),
        (pattern(4, 120, 0.5, 0.2), {4}), (growth(144, 0.05), {12}), (cycle, {10, 11, 12}),
        (lambda rng: rng.normal(size=2000), {1}),
        (lambda rng: np.cumsum(rng.normal(size=1000)), {1}),
        (lambda rng: remembering(rng, 2000, 0.5, 1), {1}),
        (lambda rng: np.arange(300) / 50 + rng.normal(0, 0.3, 300), {1}),
        (lambda rng: rng.standard_t(2, size=500), {1}),
    ],
)  # fmt: skip
def test_seasons_of_many_kinds_are_found(make: Series, seasons: set[int]) -> None:
    found = [find_season(make(np.random.default_rng([2, seed]))) for seed in range(5)]
    assert set(found) <= seasons


def test_a_peak_beside_the_season_or_of_a_part_of_it_leads_to_it() -> None:
    t = np.arange(1000)
    y = np.sin(2 * np.pi * t / 24) + 0.5 * np.sin(2 * np.pi * t / 12)
    y += np.random.default_rng(0).normal(0, 1, 1000)
    for lag in (23, 25, 12, 48, 116, 168):
        assert best_repeat(y, [lag], 333) == 24
    assert best_repeat(y, [24], 23) == 12
    assert best_repeat(y, [29], 60) is None
    assert best_repeat(y, [], 333) is None
    assert best_repeat(np.arange(90.0), [12], 30) is None


def test_a_value_is_foretold_by_the_other_seasons_alone() -> None:
    y = np.random.default_rng(0).normal(size=17)
    expected = []
    for t in range(17):
        others = [u for u in range(17) if u % 5 == t % 5 and u != t]
        expected.append((y[t] - y[others].mean()) ** 2)
    assert np.allclose(_errors(y, 5), expected)
    for season in (2, 3, 5, 8):
        assert _total_error(y, y**2, season) == pytest.approx(_errors(y, season).sum())
