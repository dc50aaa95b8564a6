"""`fastlstm train` broken off by Ctrl-C and resumed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ctrl_c import pressing
from outside import interrupted
from topics import read, rows, timeless, train, words, write_csv

from fastlstm.cli import main
from fastlstm.train import checkpoint

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug", "threads")


@pytest.fixture
def data(tmp_path: Path, topics_csv: Path) -> Path:
    return Path(shutil.copy(topics_csv, tmp_path / "topics.csv"))


@pytest.fixture
def whole(data: Path, tmp_path: Path) -> Path:
    """The folder of an unbroken run."""
    train(data, tmp_path / "whole")
    return tmp_path / "whole"


@pytest.fixture
def broken(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Path:
    """The folder of a run that Ctrl-C has broken off in its second epoch."""

    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.Progress", pressing(7))
        assert main(words(data, out)) == 130
    told = capsys.readouterr().err
    assert f"to go on: fastlstm train --resume {out}" in told
    assert not (out / "metrics.json").exists()
    return out


def same_result(one: Path, other: Path) -> bool:
    """Whether all that two runs wrote is the same, times aside."""
    for name in ("config.json", "vocab.json", "model.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    metrics = [timeless(read(path / "metrics.json")) for path in (one, other)]
    assert metrics[0] == metrics[1]
    names = [{p.name for p in path.iterdir()} - {"curves.png"} for path in (one, other)]
    return names[0] == names[1]


def test_resumed_equals_unbroken(
    whole: Path, broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert main(["train", "--resume", str(broken)]) == 0
    assert same_result(whole, broken)


def test_resumed_with_its_options_given_again(whole: Path, broken: Path, data: Path) -> None:
    assert main([*words(data, broken), "--resume", "--threads", "1"]) == 0
    one, other = (read(run / "config.json") for run in (whole, broken))
    assert one == other
    assert (whole / "model.safetensors").read_bytes() == (broken / "model.safetensors").read_bytes()


def test_the_data_may_have_moved(whole: Path, broken: Path, data: Path, fails: Any) -> None:
    moved = data.rename(data.with_name("moved.csv"))
    assert f"{data} does not exist" in fails("train", "--resume", broken)
    assert main(["train", str(moved), "--resume", str(broken)]) == 0
    assert (whole / "model.safetensors").read_bytes() == (broken / "model.safetensors").read_bytes()


def test_other_data_is_refused(broken: Path, tmp_path: Path, fails: Any) -> None:
    before = {path.name: path.read_bytes() for path in broken.iterdir()}
    texts, labels = rows(90)
    texts[3] += " more"
    other = write_csv(tmp_path / "other.csv", (texts, labels))
    assert "is of another run: the texts differ" in fails("train", other, "--resume", broken)
    texts, labels = rows(90)
    renamed = write_csv(tmp_path / "renamed.csv", (texts, [f"a {label}" for label in labels]))
    assert "the texts differ" in fails("train", renamed, "--resume", broken)
    assert {path.name: path.read_bytes() for path in broken.iterdir()} == before


def test_a_relative_path_is_found_from_anywhere(
    data: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(data.parent)
    train(Path(data.name), Path("run"), test=data.name)
    config = read(tmp_path / "run" / "config.json")
    assert (config["data"], config["test"]) == (str(data), str(data))


def test_other_options_are_refused(broken: Path, misused: Any) -> None:
    told = misused("train", "--resume", broken, "--hidden-size", "7")
    assert f"--hidden-size is 7, but the run in {broken} has 8" in told
    assert "--test-split is 0.5, but" in misused("train", "--resume", broken, "--test-split", "0.5")


def test_an_unfinished_run_is_not_overwritten(broken: Path, data: Path, fails: Any) -> None:
    assert "holds an unfinished run; --resume it" in fails(*words(data, broken))


def test_a_finished_run_is_left_alone(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert main(["train", "--resume", str(whole)]) == 0
    assert "is finished: test accuracy" in capsys.readouterr().out
    assert main(["train", "--resume", str(whole), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == read(whole / "metrics.json")
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


def test_what_cannot_be_resumed(broken: Path, tmp_path: Path, fails: Any) -> None:
    assert "holds no run to resume" in fails("train", "--resume", tmp_path / "gone")
    config = read(broken / "config.json")
    for name in ("test", "test_split", "text_column", "label_column", "format", "encoding",
                 "delimiter", "header", "quotes"):  # fmt: skip
        del config[name]
    config["unlabelled"] = True  # as of train_imdb
    (broken / "config.json").write_text(json.dumps(config))
    assert f"go on with train_imdb --resume {broken}" in fails("train", "--resume", broken)
    (broken / "config.json").write_text(json.dumps({**config, "test_split": 0.1, "speed": 1}))
    told = fails("train", "--resume", broken)
    assert "config.json is damaged or of another version" in told
    assert "'speed'" in told


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_damaged_checkpoint(damage: str, broken: Path, fails: Any) -> None:
    path = broken / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100] if damage == "cut" else b"not a checkpoint")
    assert str(path) in fails("train", "--resume", broken)


@pytest.mark.skipif(os.name != "posix", reason="SIGINT cannot be sent to a single process")
def test_a_real_ctrl_c_from_outside(data: Path, tmp_path: Path) -> None:
    """The whole way: another process, a signal at any moment, a second process that resumes."""
    options = {"epochs": 60, "hidden_size": 16}
    out, expected = tmp_path / "broken", tmp_path / "whole"
    train(data, expected, **options)
    command = [sys.executable, "-m", "fastlstm"]
    printed, told = interrupted([*command, *words(data, out, **options), "--json"], out, 60)
    assert printed == ""
    assert f"fastlstm train --resume {out}" in told
    assert "Traceback" not in told
    state = checkpoint.load(out / "checkpoint.safetensors", "training state")[1]
    assert 0 < state["history"]["step"] < 60 * 5
    subprocess.run([*command, "train", "--resume", str(out), "--quiet"], check=True)
    assert same_result(expected, out)
