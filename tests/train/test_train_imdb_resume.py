"""`train_imdb` broken off by Ctrl-C and resumed, by command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctrl_c import pressing
from outside import interrupted
from tiny_imdb import arguments, read, read_lines, timeless, train

from fastlstm.train import checkpoint, trainer
from fastlstm.train.classifier.config import ADDED
from fastlstm.train.model_file import load_model
from fastlstm.train_imdb import main

pytestmark = pytest.mark.usefixtures("own_cache", "no_picture", "threads")


@pytest.fixture
def whole(reviews: Path, tmp_path: Path) -> Path:
    """The folder of an unbroken run."""
    train(reviews, tmp_path / "whole")
    return tmp_path / "whole"


def same_result(one: Path, other: Path) -> bool:
    """Whether all that two runs wrote is the same, times aside."""
    for name in ("config.json", "vocab.json", "model.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    lines = [[timeless(x) for x in read_lines(p / "metrics.jsonl")] for p in (one, other)]
    assert lines[0] == lines[1]
    metrics = [timeless(read(path / "metrics.json")) for path in (one, other)]
    assert metrics[0] == metrics[1]
    names = [{p.name for p in path.iterdir()} - {"curves.png"} for path in (one, other)]
    return names[0] == names[1]


def broken_off(
    reviews: Path, out: Path, monkeypatch: pytest.MonkeyPatch, when: str, **options: Any
) -> None:
    """Start a run and break it off with SIGINT: in the middle of an epoch or between two."""
    press = pressing(6) if when == "middle" else pressing(after_epoch=1)
    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.Progress", press)
        assert main(arguments(reviews, out, **options)) == 130


@pytest.fixture
def broken(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:  # fmt: skip
    """The folder of a run that was broken off in the middle of an epoch."""
    out = tmp_path / "broken"
    broken_off(reviews, out, monkeypatch, "middle")
    capsys.readouterr()
    return out


@pytest.mark.parametrize("when", ["middle", "between"])
def test_resumed_equals_unbroken(
    when: str, reviews: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "broken"
    capsys.readouterr()
    broken_off(reviews, out, monkeypatch, when)
    told = capsys.readouterr().err
    assert f"train_imdb --resume {out}" in told
    assert not (out / "metrics.json").exists()
    assert main(["--resume", str(out), "--no-progress"]) == 0
    assert same_result(whole, out)


def test_runs_of_versions_with_fewer_options_go_on(
    reviews: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "broken"
    broken_off(reviews, out, monkeypatch, "middle", analyzer="word-1")
    config = read(out / "config.json")
    tensors, note = checkpoint.load(out / "checkpoint.safetensors", "training state")
    for name, value in ADDED.items():
        if name in ("pretrain_window", "teachers"):  # do nothing here, and have other defaults
            assert config.pop(name) == note["identity"].pop(name) != value
        else:
            assert config.pop(name) == value
    (out / "config.json").write_text(json.dumps(config))
    checkpoint.save(out / "checkpoint.safetensors", tensors, "training state", note)
    assert not ADDED.keys() & note["identity"].keys()  # as those versions wrote it
    assert main(["--resume", str(out), "--no-progress"]) == 0
    assert timeless(read(out / "metrics.json")) == timeless(read(whole / "metrics.json"))


def test_models_of_versions_with_fewer_options_are_read(whole: Path, tmp_path: Path) -> None:
    tensors, note = checkpoint.load(whole / "model.safetensors", "model")
    for name, value in ADDED.items():
        assert note["model"].pop(name, value) == value  # not all are of the model
    checkpoint.save(tmp_path / "old.safetensors", tensors, "model", note)
    model = load_model(tmp_path / "old.safetensors")
    assert model.cell == "lstm"
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, tensors[name])


# Pretraining makes 6 steps, a teacher 2 epochs of 4, the net that is kept 2 of 7.
STEPS = {"pretraining": 3, "first teacher": 6 + 2, "second teacher": 14 + 6, "training": 22 + 9}


@pytest.mark.parametrize("when", STEPS)
def test_pretraining_broken_off(
    when: str, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    train(reviews, tmp_path / "whole", pretrain=True, teachers=2)
    steps = 0

    clip = trainer.clip_factor

    def press_ctrl_c(*arguments: Any) -> tuple[float, float]:
        nonlocal steps
        steps += 1
        if steps == STEPS[when]:
            signal.raise_signal(signal.SIGINT)
        return clip(*arguments)

    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "clip_factor", press_ctrl_c)
        assert main(arguments(reviews, out, pretrain=True, teachers=2)) == 130
    assert f"train_imdb --resume {out}" in capsys.readouterr().err
    assert (out / "pretraining.safetensors").exists()
    assert (out / "checkpoint.safetensors").exists() == (when == "training")
    assert main(["--resume", str(out), "--no-progress"]) == 0
    assert weights_of(tmp_path / "whole") == weights_of(out)
    assert not (out / "pretraining.safetensors").exists()


def weights_of(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def test_another_cell_is_another_run(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--resume", str(broken), "--cell", "gru"])
    assert "--cell is gru, but the run in" in capsys.readouterr().err
    config = read(broken / "config.json")
    (broken / "config.json").write_text(json.dumps({**config, "cell": "gru"}))
    assert main(["--resume", str(broken), "--no-progress"]) == 1
    assert (
        "is of another run: cell differ (cell is 'lstm' there, 'gru' here)"
        in capsys.readouterr().err
    )


def test_resume_with_out_and_with_the_same_options_given_again(
    broken: Path, reviews: Path, whole: Path
) -> None:
    assert main([*arguments(reviews, broken), "--resume"]) == 0
    assert same_result(whole, broken)


def test_threads_and_place_of_the_data_may_change(
    broken: Path, reviews: Path, whole: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere" / "aclImdb"
    moved.parent.mkdir()
    os.symlink(reviews, moved, target_is_directory=True)
    assert main(["--resume", str(broken), "--data", str(moved.parent), "--threads", "1"]) == 0
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_other_options_are_refused(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--resume", str(broken), "--hidden-size", "7"])
    assert caught.value.code == 2
    assert "--hidden-size is 7, but the run in" in capsys.readouterr().err


def test_other_data_is_refused(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--resume", str(broken), "--data", "sample"]) == 1
    assert "the reviews differ" in capsys.readouterr().err


def test_a_finished_run_is_left_alone(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert main(["--resume", str(whole)]) == 0
    assert "is finished: test accuracy" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


def test_unfinished_run_is_not_overwritten_by_a_new_one(
    broken: Path, reviews: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (broken / "checkpoint.safetensors").read_bytes()
    assert main(arguments(reviews, broken)) == 1
    assert "holds an unfinished run; --resume it" in capsys.readouterr().err
    assert (broken / "checkpoint.safetensors").read_bytes() == before


def test_nothing_to_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--resume", str(tmp_path)]) == 1
    assert "holds no run to resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--resume"], ["--resume", "a", "--out", "b"], ["--resume", "a", "--overwrite"]]
)
def test_wrong_use_of_resume(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2


@pytest.mark.parametrize("damage", ["cut", "foreign", "model"])
def test_damaged_checkpoint(
    damage: str, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "broken"
    broken_off(reviews, out, monkeypatch, "between")
    path = out / "checkpoint.safetensors"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "foreign":
        path.write_text("not a checkpoint")
    else:
        path.write_bytes((out / "model.safetensors").read_bytes())
    capsys.readouterr()
    assert main(["--resume", str(out)]) == 1
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", '{"lr": 1}', "[]"])
def test_damaged_config(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(text)
    assert main(["--resume", str(tmp_path)]) == 1
    assert "config.json is damaged or of another version" in capsys.readouterr().err


def test_killed_before_the_first_checkpoint(whole: Path, reviews: Path, tmp_path: Path) -> None:
    out = tmp_path / "broken"
    out.mkdir()
    (out / "config.json").write_bytes((whole / "config.json").read_bytes())
    assert main(["--resume", str(out)]) == 0
    assert same_result(whole, out)


@pytest.mark.skipif(os.name != "posix", reason="SIGINT cannot be sent to a single process")
def test_a_real_ctrl_c_from_outside(reviews: Path, tmp_path: Path) -> None:
    """The whole way: another process, a signal at any moment, a second process that resumes."""
    options = {"epochs": 60, "hidden_size": 16, "patience": 0}
    out, expected = tmp_path / "broken", tmp_path / "whole"
    train(reviews, expected, **options)
    command = [sys.executable, "-m", "fastlstm.train_imdb"]
    _, told = interrupted([*command, *arguments(reviews, out, **options)], out, 60)
    assert f"train_imdb --resume {out}" in told
    assert "Traceback" not in told
    state = checkpoint.load(out / "checkpoint.safetensors", "training state")[1]
    assert 0 < state["history"]["step"] < read(expected / "metrics.json")["epochs"] * 4
    assert subprocess.run([*command, "--resume", str(out)], check=True).returncode == 0
    assert same_result(expected, out)
