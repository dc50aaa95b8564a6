"""The cell written out by hand is the layer, in numbers; the figure of gradients is drawn."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from fastlstm.examples import gates, gradient_flow


def last_line(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("steps", [1, 20])
def test_gates_by_hand_are_the_layers(
    backend_isa: str, capsys: pytest.CaptureFixture[str], steps: int
) -> None:
    assert gates.main(["--steps", str(steps), "--hidden-size", "9", "--seed", "3"]) == 0
    result = last_line(capsys)
    assert result["steps"] == steps
    assert 0 <= result["largest_difference"] <= 1e-6
    assert 0 <= result["gradient_difference"] <= 1e-6
    assert result["forget_bias"] == 1.0
    assert result["rebuilt_is_equal"]
    if importlib.util.find_spec("torch"):
        assert 0 <= result["torch_difference"] <= 1e-6
    else:
        assert result["torch_difference"] is None


@pytest.mark.parametrize("option", ["--steps", "--hidden-size"])
def test_sizes_of_nothing_are_wrong_use(capsys: pytest.CaptureFixture[str], option: str) -> None:
    for example in (gates, gradient_flow):
        with pytest.raises(SystemExit) as end:
            example.main([option, "0"])
        assert end.value.code == 2
        assert option in capsys.readouterr().err


def test_gradients_vanish_and_explode(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Of the plain net by its spectral radius; the LSTM with an open forget gate keeps more."""
    arguments = ["--steps", "40", "--hidden-size", "32"]
    if importlib.util.find_spec("matplotlib"):
        arguments += ["--plot", str(tmp_path / "flow.png")]
    assert gradient_flow.main(arguments) == 0
    norms = last_line(capsys)["norms"]
    small, one, large = (norms[f"spectral radius {r}"] for r in (0.5, 1.0, 2.0))
    assert small["RNN"] < 1e-5
    assert large["RNN"] > 3
    assert small["RNN"] < small["GRU"] < small["LSTM, forget bias 1"]
    assert one["LSTM, forget bias 0"] < one["LSTM, forget bias 1"]
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG")
