"""Runs with a linear part, broken off anywhere and resumed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ctrl_c import pressing
from test_cli_resume import same_result
from topics import read, rows, train, words, write_csv

from fastlstm.cli import main
from fastlstm.train.classifier.loaded_run import load_run

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug", "threads")

CLASSIFY = "fastlstm.train.classifier.classify"


@pytest.fixture(scope="module")
def whole(topics_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of unbroken runs, by their parts."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{CLASSIFY}.draw_curves", lambda *_: False)
        for parts in ("joined", "linear"):
            train(topics_csv, folder / parts, parts=parts)
    return {parts: folder / parts for parts in ("joined", "linear")}


def press(*_: Any, **__: Any) -> None:
    """Ctrl-C, where Python answers it."""
    signal.raise_signal(signal.SIGINT)


PLACES = [
    ("joined", "train_linear", press),
    ("joined", "Progress", pressing(7)),
    ("joined", "join_parts", press),
    ("joined", "measure", press),
    ("linear", "train_linear", press),
    ("linear", "save_parts", press),
    ("linear", "measure", press),
]


@pytest.mark.parametrize(("parts", "place", "stop"), PLACES)
def test_a_run_with_a_linear_part_is_resumed(
    parts: str, place: str, stop: Any, topics_csv: Path, whole: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(f"{CLASSIFY}.{place}", stop)
        assert main(words(topics_csv, out, parts=parts)) == 130
    assert f"to go on: fastlstm train --resume {out}" in capsys.readouterr().err
    assert not (out / "metrics.json").exists()
    assert main(["train", "--resume", str(out)]) == 0
    assert same_result(whole[parts], out)


def test_an_unfinished_joined_run_predicts_with_its_net(
    topics_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(f"{CLASSIFY}.join_parts", press)
        assert main(words(topics_csv, out, parts="joined")) == 130
    run = load_run(out)
    assert run.parts.linear is None
    assert len(run.predict(["music1 music2"])) == 1


@pytest.mark.parametrize("parts", ["joined", "linear"])
def test_a_killed_run_is_resumed(
    parts: str, topics_csv: Path, whole: dict[str, Path], tmp_path: Path
) -> None:
    """By SIGKILL, with the model written and the run not finished."""
    out = tmp_path / "killed"
    code = (
        "import os, signal; from fastlstm.cli import main;"
        "from fastlstm.train.classifier import classify;"
        "classify.draw_curves = lambda *_: False;"
        "classify.RunFolder.finish = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        f"main({words(topics_csv, out, parts=parts)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (out / "model.safetensors").exists()
    assert main(["train", "--resume", str(out)]) == 0
    assert same_result(whole[parts], out)


def test_a_joined_run_is_replaced_by_another(
    topics_csv: Path, whole: dict[str, Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    out = Path(shutil.copytree(whole["joined"], tmp_path / "run"))
    assert "holds a finished run" in fails(*words(topics_csv, out, parts="linear"))
    assert main([*words(topics_csv, out, parts="linear"), "--overwrite"]) == 0
    assert same_result(whole["linear"], out)


def test_other_marks_are_other_texts(
    topics_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., str]
) -> None:
    """A net would not see them."""
    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(f"{CLASSIFY}.Progress", pressing(7))
        assert main(words(topics_csv, out, parts="joined")) == 130
    texts, labels = rows(90)
    texts[3] += "!"
    other = write_csv(tmp_path / "other.csv", (texts, labels))
    assert "the whole texts differ" in fails("train", other, "--resume", out)


def test_epochs_of_a_joined_run_in_the_record(whole: dict[str, Path]) -> None:
    metrics = read(whole["joined"] / "metrics.json")
    seconds = sum(metrics["epoch_seconds"]) + metrics["linear_seconds"] + metrics["join_seconds"]
    assert metrics["train_seconds"] == pytest.approx(seconds)


def test_a_linear_run_is_not_resumed_with_other_texts(
    topics_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., str]
) -> None:
    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(f"{CLASSIFY}.train_linear", press)
        assert main(words(topics_csv, out, parts="linear")) == 130
    texts, labels = rows(90)
    texts[3] += " word1 word2"
    other = write_csv(tmp_path / "other.csv", (texts, labels))
    assert "was trained on other texts than" in fails("train", other, "--resume", out)
