"""How much each way of a linear part counts, by its error on what was held back."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from fastlstm.forecast.framing import Framing
from fastlstm.forecast.ridge import PENALTIES, Ridge, Way
from fastlstm.forecast.series import read_series
from fastlstm.forecast.ways import mixed, shares_of, ways_of

WAYS = [Way(1.0), Way(10.0), Way(1.0, 1), Way(inf, 1), Way(1.0, 4), Way(inf, 4)]
HORIZONS = 10.0  # so that chance makes 3 % of an error


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([1.0, 0.99, 1.0, 1.0, 1.2, 1.1], {3: 1.0}),  # none is clearly better than the last value
        ([0.5, 1.0, 3.0, 3.0, 2.0, 3.0], {0: 1.0}),
        ([1.0, 2.0, 1.1, 1.2, 1.0, 1.2], {0: 2 / 3, 4: 1 / 3}),
        ([2.0, 2.0, 1.0, 1.2, 1.1, 1.2], {2: 1.0, 4: 0.5 * 1.1**-10}),
        ([9.0, 9.0, 9.0, 1.2, 0.99, 1.0], {3: 1.2**-10, 5: 0.5}),  # the season before itself
    ],
)
def test_the_best_ways_count_by_their_errors(
    errors: list[float], expected: dict[int, float]
) -> None:
    shares = shares_of(WAYS, np.array(errors), HORIZONS)
    found = {n: share for n, share in enumerate(shares) if share > 1e-4}
    total = sum(expected.values())
    assert found == pytest.approx({n: share / total for n, share in expected.items()}, rel=1e-3)
    assert shares.sum() == pytest.approx(1)


def test_without_a_season_the_best_way_counts() -> None:
    assert shares_of(WAYS[:4], np.array([1.0, 0.9, 0.8, 1]), HORIZONS).tolist() == [0, 0, 1, 0]


def test_errors_of_nothing_at_all() -> None:
    assert shares_of(WAYS, np.zeros(6), HORIZONS).tolist() == [0, 0, 0, 1, 0, 0]


def test_a_mean_of_linear_parts_forecasts_the_mean() -> None:
    rng = np.random.default_rng(0)
    ridges = [Ridge(rng.normal(size=(1, 2, 3)), rng.normal(size=(1, 2, 1))) for _ in range(3)]
    found = mixed(ridges, np.array([0.25, 0.0, 0.75]))
    assert np.allclose(found.shared, 0.25 * ridges[0].shared + 0.75 * ridges[2].shared)
    assert np.allclose(found.own, 0.25 * ridges[0].own + 0.75 * ridges[2].own)


def test_a_season_beyond_the_context_is_none_to_be_drawn_to() -> None:
    y = read_series("y", np.random.default_rng(0).normal(size=400))

    def seasons(season: int, context: int) -> set[int]:
        return {way.season for way in ways_of(Framing.of([y], 6, context, season, True, 0.15))}

    assert seasons(12, 20) == {0, 1, 12}
    assert seasons(12, 8) == seasons(1, 8) == {0, 1}
    assert len(ways_of(Framing.of([y], 6, 20, 12, True, 0.15))) == 3 * len(PENALTIES) + 2
