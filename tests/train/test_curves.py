"""The picture of the curves, where matplotlib is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fastlstm.train import History, Running
from fastlstm.train.classifier.report import epoch_table
from fastlstm.train.curves import draw_curves


def history(epochs: int, validated: bool = True) -> History:
    history = History()
    for epoch in range(epochs):
        history.running = Running(50.0 - epoch, 80, 100, 1000, seconds=2.0)
        history.close_epoch(0.1, Running(45.0, 70 + epoch % 3, 100) if validated else None)
    return history


@pytest.mark.parametrize("epochs", [1, 3, 40])
@pytest.mark.parametrize("validated", [True, False])
def test_a_png_is_written(epochs: int, validated: bool, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert draw_curves(tmp_path / "a.png", history(epochs, validated), "title")
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert data.endswith(b"IEND\xaeB`\x82")


def test_without_matplotlib_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    assert not draw_curves(tmp_path / "a.png", history(2), "title")
    assert list(tmp_path.iterdir()) == []


def test_table_marks_the_best_epoch() -> None:
    lines = epoch_table(history(3)).splitlines()
    assert lines[0].split() == (
        "epoch train loss accuracy valid. loss accuracy seconds words/s".split()
    )
    assert lines[4].split() == ["*", "3", "0.4800", "80.00%", "0.4500", "72.00%", "2.0", "500"]
    assert len({len(line) for line in lines}) == 1
    assert epoch_table(history(1, validated=False)).splitlines()[2].split()[4:6] == ["-", "-"]
