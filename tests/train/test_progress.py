"""What is shown while a run trains."""

from __future__ import annotations

import pytest
from toy import Problem

from fastlstm.train.progress import Progress


def run(bar: bool, **options: object) -> None:
    problem = Problem()
    problem.fit(problem.trainer(listeners=[Progress(bar)], epochs=2, **options))


@pytest.mark.parametrize("columns", [80, 160])
def test_bar_shows_loss_accuracy_speed_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "24")
    run(bar=True)
    shown = capsys.readouterr().err
    assert "epoch 1/2   0%" in shown
    assert "epoch 2/2 " in shown
    for part in ("loss 0.", "accuracy ", "words/s", "<00:"):
        assert part in shown
    assert shown.endswith(" \r")  # the bar is gone at the end


def test_without_bar_there_are_only_the_lines_of_the_epochs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(bar=False)
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "validation loss" in lines[0]
    assert lines[0].count("(best)") == 1
    assert "words/s" in lines[0]


def test_bar_is_closed_after_an_error() -> None:
    progress, problem = Progress(True), Problem()

    def broken(*_: object) -> None:
        raise LookupError

    trainer = problem.trainer(listeners=[progress], transform=broken)
    with pytest.raises(LookupError):
        problem.fit(trainer)
    assert progress._bar is None
