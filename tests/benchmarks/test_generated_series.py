"""The generated series of docs/forecast.md, and the lines of its table."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from benchmarks import generated_series
from benchmarks.generated_series import SERIES


@pytest.mark.parametrize("name", SERIES)
def test_a_seed_gives_the_same_series(name: str) -> None:
    made = SERIES[name]
    one, same, other = (made.draw(np.random.default_rng(seed), made.steps) for seed in (0, 0, 1))
    assert one.shape == (made.steps,)
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_line_of_the_table(
    native: Any, threads: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["generated_series", "growth", "--epochs", "0"])
    generated_series.main()
    head, rule, line = capsys.readouterr().out.splitlines()
    assert head.count("|") == rule.count("|") == line.count("|") == 8
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:2] == ["growth in proportion, 180", "12"]
    assert cells[2].startswith("**")  # it grows: neither the season before nor trees know that
    assert cells[6] == cells[2].strip("*")


def test_another_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["generated_series", "waves"])
    with pytest.raises(SystemExit):
        generated_series.main()
    assert "NAME is waves, expected one of counts, days" in capsys.readouterr().err
