"""`fastlstm train --resume RUN --epochs N`: more epochs for a run that has ended."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from topics import read, rows, timeless, train, weights, words, write_csv

from fastlstm.cli import main
from fastlstm.train import Listener
from fastlstm.train.history import History

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug", "threads")


@pytest.fixture
def data(tmp_path: Path, topics_csv: Path) -> Path:
    return Path(shutil.copy(topics_csv, tmp_path / "topics.csv"))


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Path:
    train(data, tmp_path / "run")
    return tmp_path / "run"


def lines(run: Path) -> list[str]:
    return (run / "metrics.jsonl").read_text().splitlines()


def test_more_epochs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, first = lines(run), weights(run)
    assert main(["train", "--resume", str(run), "--epochs", "5"]) == 0
    assert "epoch 3/5: loss" in capsys.readouterr().out
    metrics = read(run / "metrics.json")
    assert (metrics["epochs"], read(run / "config.json")["epochs"]) == (5, 5)
    assert lines(run)[:2] == before
    assert len(lines(run)) == 5
    assert not (run / "checkpoint.safetensors").exists()
    assert weights(run) != first or metrics["best_epoch"] <= 2


def test_the_same_again_and_fewer_epochs(run: Path, misused: Any, capsys: Any) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert main(["train", "--resume", str(run), "--epochs", "2"]) == 0
    assert "is finished" in capsys.readouterr().out
    assert "--epochs is 1, but the run" in misused("train", "--resume", run, "--epochs", "1")
    assert "--epochs is -1" in misused("train", "--resume", run, "--epochs", "-1")
    assert "--lr is 0.5, but" in misused("train", "--resume", run, "--epochs", "4", "--lr", "0.5")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_other_texts_are_refused_and_nothing_changes(run: Path, tmp_path: Path, fails: Any) -> None:
    texts, labels = rows(90)
    texts[3] += " word7"
    other = write_csv(tmp_path / "other.csv", (texts, labels))
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    told = fails("train", other, "--resume", run, "--epochs", "4")
    assert f"{run} was trained on other texts than the other.csv" in told
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_broken_off_and_resumed_is_the_unbroken_extension(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    whole = shutil.copytree(run, tmp_path / "whole")
    assert main(["train", "--resume", str(whole), "--epochs", "4", "--quiet"]) == 0

    class PressCtrlC(Listener):
        def __init__(self, bar: bool) -> None:
            pass

        def on_step(self, history: History) -> None:
            if history.step == 13:
                signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.Progress", PressCtrlC)
        assert main(["train", "--resume", str(run), "--epochs", "4"]) == 143
    assert f"to go on: fastlstm train --resume {run}" in capsys.readouterr().err
    assert not (run / "metrics.json").exists()
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    assert weights(run) == weights(whole)
    assert timeless(read(run / "metrics.json")) == timeless(read(whole / "metrics.json"))


@pytest.mark.parametrize("at", ["save", "config", "unlink"])
def test_killed_while_it_becomes_unfinished_again(
    at: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves at any point is the finished run, or one that the same command extends."""
    whole = shutil.copytree(run, tmp_path / "whole")
    assert main(["train", "--resume", str(whole), "--epochs", "4", "--quiet"]) == 0

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    place = {
        "save": "fastlstm.train.trainer.Trainer.save",
        "config": "fastlstm.train.classifier.extend.write_json",
        "unlink": "pathlib.Path.unlink",
    }
    unlink = Path.unlink

    def metrics_stay(path: Path, missing_ok: bool = False) -> None:
        if path.name == "metrics.json":
            raise Killed
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(place[at], metrics_stay if at == "unlink" else killed)
        with pytest.raises(Killed):
            main(["train", "--resume", str(run), "--epochs", "4", "--quiet"])
    assert (run / "metrics.json").exists()
    assert main(["train", "--resume", str(run), "--epochs", "4", "--quiet"]) == 0
    assert weights(run) == weights(whole)


def test_a_run_that_patience_ended_is_finished(data: Path, tmp_path: Path, capsys: Any) -> None:
    line = words(data, tmp_path / "run", epochs=30, patience=1, lr=2.0, seed=1)
    assert main(line) == 0
    assert read(tmp_path / "run" / "metrics.json")["epochs"] < 30
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert "is finished" in capsys.readouterr().out
