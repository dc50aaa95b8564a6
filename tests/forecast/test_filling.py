"""What stands in place of missing values."""

from __future__ import annotations

import numpy as np

from fastlstm.forecast.filling import filled_in


def test_a_gap_goes_on_as_a_season_ago_from_the_level_before_it() -> None:
    t = np.arange(60)
    y = np.stack([0.5 * t + np.array([0.0, 5, 2, 9])[t % 4], 100.0 - t], axis=1)
    given = y.copy()
    given[20:31, 0] = given[[40, 59], 1] = np.nan
    assert np.allclose(filled_in(given, 4), y)


def test_what_has_no_season_before_it_is_the_last_known_value() -> None:
    y = np.array([[np.nan], [2], [np.nan], [5], [np.nan], [np.nan]])
    assert filled_in(y, 1)[:, 0].tolist() == [2, 2, 2, 5, 5, 5]
    assert filled_in(y, 9)[:, 0].tolist() == [2, 2, 2, 5, 5, 5]


def test_a_gap_depends_on_nothing_after_it() -> None:
    y = np.random.default_rng(0).normal(size=(50, 1))
    y[[12, 13, 30, 31]] = np.nan
    for end in (13, 14, 31, 40):
        assert np.array_equal(filled_in(y[:end], 6), filled_in(y, 6)[:end])


def test_a_series_without_gaps_is_left_alone() -> None:
    y = np.random.default_rng(0).normal(size=(50, 2))
    assert filled_in(y, 6) is y
