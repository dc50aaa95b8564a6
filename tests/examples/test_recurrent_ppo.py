"""The example of reinforcement learning: what is hidden, that it learns on both, errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.examples import recurrent_ppo

needs_library = "needs sb3-contrib: pip install 'fastlstm[rl]'"


def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    assert recurrent_ppo.main(["--steps", "1"]) == 1
    error = capsys.readouterr().err
    assert error == (
        "recurrent_ppo: error: sb3_contrib is not installed: pip install 'fastlstm[rl]'\n"
    )


@pytest.mark.parametrize("option", ["--steps", "--seeds", "--environments", "--hidden-size"])
def test_wrong_options(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("0", "-1", "x"):
        with pytest.raises(SystemExit, match="2"):
            recurrent_ppo.main([option, value])
        assert option in capsys.readouterr().err


def test_velocities_are_hidden() -> None:
    gymnasium = pytest.importorskip("gymnasium", reason=needs_library)
    pole, whole = recurrent_ppo.pole(), gymnasium.make("CartPole-v1")
    seen, all_of_it = (env.reset(seed=3)[0] for env in (pole, whole))
    for action in (0, 1, 1):
        assert pole.observation_space.contains(seen)
        assert np.array_equal(seen, all_of_it[[0, 2]])
        seen, all_of_it = (env.step(action)[0] for env in (pole, whole))


def test_it_learns_and_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sb3_contrib", reason=needs_library)
    monkeypatch.setattr(recurrent_ppo, "STEPS", 32)
    monkeypatch.setattr(recurrent_ppo, "TIMED", 1)
    picture = tmp_path / "returns.png"
    options = ["--steps", "65", "--environments", "2", "--hidden-size", "8", "--seeds", "2"]
    assert recurrent_ppo.main([*options, "--compare", "--plot", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    figures: dict[str, Any] = json.loads(lines[-1])
    assert figures["steps"] == 128
    assert figures["returns"].keys() == {"torch", "fastlstm"}
    assert figures["returns"]["torch"] == figures["returns"]["fastlstm"]  # the same actions, yet
    assert min(figures["updates_a_second"].values()) > 0
    assert lines[-2].startswith("updates a second: torch ")
    assert sum("128 steps: return" in line for line in lines) == 4
    assert picture.read_bytes().startswith(b"\x89PNG")
