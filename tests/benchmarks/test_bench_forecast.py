"""The forecaster beside torch: the sides agree, and each of them can be timed."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("torch")

from benchmarks import bench_forecast

SHORT = ["--hours", "600", "--steps", "2", "--threads", "1"]


def test_sides_agree(native: Any, threads: None) -> None:
    bench_forecast.check(bench_forecast.Problem(600, 3))


def test_sides_that_differ_are_not_timed(
    native: Any, threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_forecast, "QUANTILES", (0.2, 0.5, 0.8))
    problem = bench_forecast.Problem(600, 3)
    monkeypatch.setattr(bench_forecast, "QUANTILES", (0.1, 0.5, 0.9))
    with pytest.raises(RuntimeError, match="the loss differs by .*: not timed"):
        bench_forecast.check(problem)


@pytest.mark.parametrize("side", bench_forecast.SIDES)
def test_a_side_is_timed(
    native: Any, threads: None, side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench_forecast.main(["--side", side, *SHORT]) == 0
    assert json.loads(capsys.readouterr().out) > 0


def test_the_ratio_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = {"fastlstm": iter([0.2, 0.1, 0.3]), "torch": iter([0.8, 0.9, 0.5])}
    monkeypatch.setattr(bench_forecast, "_ask", lambda side, options: next(seconds[side]))
    monkeypatch.setattr(bench_forecast, "check", lambda problem: None)
    assert bench_forecast.main([*SHORT, "--rounds", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ratio"] == {"least": 5.0, "median": 4.0}
    assert found["update_ms"]["torch"] == {"least": 500.0, "median": 800.0}
