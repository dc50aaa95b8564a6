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


@pytest.mark.parametrize(("option", "least"), [("--days", 5), ("--epochs", 0), ("--seed", 0)])
def test_wrong_options_of_a_town_are_named(
    option: str, least: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        forecast.main([option, str(least - 1)])
    assert f"{option} is {least - 1}, expected at least {least}" in capsys.readouterr().err


def test_the_fewest_days_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast.main(["--days", "5", "--epochs", "0", "--threads", "1"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["mae"] > 0
