"""Studies of ``fastlstm tune``: what they show, and Ctrl-C in the midst of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from each_step import press_ctrl_c

from fastlstm.cli import main


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


def interrupt_the_second_trial(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Send Ctrl-C once, in its second epoch of three; return a list that grows by each step."""
    return press_ctrl_c(monkeypatch, epochs=4, more=2)
