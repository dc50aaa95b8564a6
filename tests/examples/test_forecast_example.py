"""The example of a town's load: it beats what comes again a day later, and draws."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from fastlstm.examples import forecast


def test_the_town_is_forecast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "town.png"
    drawn = importlib.util.find_spec("matplotlib") is not None
    plot = ["--plot", str(picture)] if drawn else []
    assert forecast.main(["--days", "40", "--epochs", "1", "--threads", "1", *plot]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["mae"] < 0.7 * found["seasonal_naive_mae"]
    assert 0.5 < found["coverage"] < 1
    assert picture.exists() == drawn


def test_a_town_of_few_days_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast.main(["--days", "3"]) == 1
    assert "expected at least 80" in capsys.readouterr().err
