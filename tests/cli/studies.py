"""Studies of ``fastlstm tune``: what they show, and Ctrl-C in the midst of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from each_step import press_ctrl_c

from fastlstm.cli import main
from fastlstm.tune.folder import TuneFolder


def tune(*line: object) -> int:
    return main(["tune", *map(str, line)])


def shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return what --show --json tells, without what differs from run to run."""
    capsys.readouterr()
    assert tune("--show", folder, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    for trial in found["trials"]:
        del trial["seconds"]
    return found


def stop_in_the_second_trial(
    line: list[object],
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> list[int]:
    """Begin a study in `out`, with Ctrl-C in the second of three epochs of its second trial.

    Return a list that grows by each step, also of what comes later.
    """
    steps = press_ctrl_c(monkeypatch, epochs=4, more=2)
    capsys.readouterr()
    assert tune(*line, "--out", out) == 130
    assert f"to go on: fastlstm tune --resume {out}" in capsys.readouterr().err
    states = [trial["state"] for trial in shown(out, capsys)["trials"]]
    assert states == ["complete", "unfinished"]
    return steps


def check_begun_anew(
    line: list[object], done: Path, out: Path, spoil: Callable[[Path], object],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Assert that a trial with a spoiled checkpoint is begun anew, and ends as that of `done`."""
    stop_in_the_second_trial(line, out, monkeypatch, capsys)
    spoiled = TuneFolder(out).trial(1).checkpoint
    spoil(spoiled)
    assert tune("--resume", out) == 0
    assert f"trial 1 was begun anew: {spoiled} is damaged" in capsys.readouterr().out
    found, expected = (shown(folder, capsys)["trials"] for folder in (out, done))
    assert f"{spoiled} is damaged" in found[1].pop("anew")
    assert expected[1].pop("anew") == ""
    assert found == expected
