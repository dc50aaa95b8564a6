"""Studies of ``fastlstm tune``: what they show, and Ctrl-C in the midst of one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from fastlstm.cli import main
from fastlstm.train.trainer import Trainer


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
    steps, step = list[int](), Trainer._step

    def counted(trainer: Trainer, part: Any, per_epoch: int, *more: Any) -> None:
        steps.append(1)
        if len(steps) == 4 * per_epoch + 2:
            os.kill(os.getpid(), signal.SIGINT)
        step(trainer, part, per_epoch, *more)

    monkeypatch.setattr(Trainer, "_step", counted)
    return steps
