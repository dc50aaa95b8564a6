"""The example of anomalies: its signal, its windows, what it finds, prints and draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.examples import anomaly
from fastlstm.models import SequenceAutoencoder


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], str]:
    assert anomaly.main(arguments) == 0
    out = capsys.readouterr().out
    return json.loads(out.splitlines()[-1]), out


def test_planted_anomalies_are_apart() -> None:
    x, is_odd = anomaly.series(2000, np.random.default_rng(0), 8)
    assert x.shape == (2000, 2)
    assert x.dtype == np.float32
    assert is_odd.sum() == 8 * anomaly.LENGTH
    assert np.count_nonzero(np.diff(is_odd.astype(int)) == 1) == 8
    plain, none = anomaly.series(2000, np.random.default_rng(0))
    assert not none.any()
    assert np.abs(plain).max() < 1.5


def test_windows_of_a_series() -> None:
    x = np.arange(10.0).reshape(5, 2)
    assert anomaly.windows(x, 3).shape == (3, 3, 2)
    np.testing.assert_array_equal(anomaly.windows(x, 3, every=2)[1], x[2:5])


def test_scores_of_what_is_called_odd() -> None:
    odd = np.array([0, 1, 1, 0, 0, 1, 0, 1], bool)
    called = np.array([0, 0, 1, 1, 0, 0, 0, 1], bool)
    figures = anomaly.scores(called, odd)
    assert figures == {"precision": 0.6667, "recall": 0.5, "planted": 3, "found": 2}
    assert anomaly.scores(odd & False, odd)["precision"] == 0.0


def test_each_step_has_the_errors_of_its_windows() -> None:
    model = SequenceAutoencoder(2, 4, code_size=1, rng=0)
    x = np.random.default_rng(0).standard_normal((9, 2)).astype("float32")
    errors = model.errors(anomaly.windows(x, 4))
    off = anomaly.off(model, x, 4)
    assert off[0] == errors[0, 0]
    assert off[8] == errors[5, 3]
    inside = [errors[4 - step, step] for step in range(4)]
    assert off[4] == np.median(inside)


def test_anomalies_are_found_and_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "anomaly.png"
    options = ["--steps", "1500", "--anomalies", "4", "--epochs", "20", "--plot", str(picture)]
    figures, out = found(capsys, *options)
    assert figures["planted"] == 4
    assert figures["found"] >= 3
    assert figures["precision"] > 0.5
    assert figures["recall"] > 0.4
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "anomalies are found" in out


def test_the_example_of_anomalies_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--steps", "400", "--anomalies", "2", "--epochs", "1", "--hidden-size", "4"]
    first, second = (found(capsys, *options)[0] for _ in range(2))
    assert first == second
    assert found(capsys, *options, "--seed", "1")[0] != first


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--window", "1"], "--window is 1, expected at least 2"),
        (["--steps", "100"], "--steps is 100, expected at least 1920"),
        (["--quantile", "1"], "--quantile is 1.0, expected a number between 0 and 1"),
        (["--lr", "0"], "--lr is 0.0, expected a number above 0"),
        (["--plot", "a.pdf"], "a.pdf, expected a name that ends in .png"),
    ],
)
def test_wrong_options_of_the_example_of_anomalies(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        anomaly.main(arguments)
    assert raised.value.code == 2
    assert told in capsys.readouterr().err
