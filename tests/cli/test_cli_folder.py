"""Whose files a run may touch, and when: other people's, other runs', those of the dead."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from outside import stop
from topics import SMALL, read, train, weights, words

from fastlstm.cli import main
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.folder_lock import FolderLock

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug", "threads")

LONG = {"epochs": 40_000, "hidden_size": 16}
COMMAND = [sys.executable, "-m", "fastlstm"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def running(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """Return a run in another process that has made an epoch."""
    process = subprocess.Popen(
        [*COMMAND, *words(data, out, **LONG), *more], stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    while not (out / "model.safetensors").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    return process


def test_a_live_run_is_left_alone(tmp_path: Path, topics_csv: Path, fails: Any) -> None:
    out = tmp_path / "run"
    with running(topics_csv, out) as process:
        try:
            assert stop(process)  # it writes nothing meanwhile
            before = contents(out)
            in_use = f"{out} is in use: process {process.pid} writes there"
            assert in_use in fails(*words(topics_csv, out, **SMALL))
            assert in_use in fails(*words(topics_csv, out, **SMALL), "--overwrite")
            assert in_use in fails("train", "--resume", out)
            assert contents(out) == before
            assert main(["info", str(out), "--json"]) == 0  # readers are not held up
            assert main(["predict", str(out), "word1 music1"]) == 0
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            told = process.communicate(timeout=600)[1]
        finally:
            process.kill()  # where a check failed it would stand still for ever
    assert process.returncode == 143
    assert f"to go on: fastlstm train --resume {out}" in told
    assert "Traceback" not in told
    assert (out / "checkpoint.safetensors").exists()


def test_what_a_killed_run_left_half_is_removed(tmp_path: Path, topics_csv: Path) -> None:
    out = tmp_path / "run"
    train(topics_csv, out)
    before = weights(out)
    halves = [out / f".{name}.0123abcd.tmp" for name in ("model.safetensors", "config.json")]
    theirs = [out / ".notes.txt.0123abcd.tmp", out / ".model.safetensors.tmp"]
    for path in (*halves, *theirs):
        path.write_bytes(b"half")
    assert main([*words(topics_csv, out), "--overwrite"]) == 0
    assert weights(out) == before
    assert not any(path.exists() for path in halves)
    assert all(path.exists() for path in theirs)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", RunFolder.FILES)
def test_files_of_others_stay(
    name: str, overwrite: bool, tmp_path: Path, topics_csv: Path, fails: Any
) -> None:
    out = tmp_path / "theirs"
    out.mkdir()
    (out / name).write_text('{"vocab_size": 30522, "hidden_size": 768}')
    (out / "thesis.txt").write_text("years of work")
    before = contents(out)
    line = [*words(topics_csv, out), *(["--overwrite"] if overwrite else [])]
    told = fails(*line)
    assert f"{out} holds {name} but no run of this kind" in told
    assert contents(out) == before


def test_files_of_others_in_a_folder_of_a_teacher_stay(
    tmp_path: Path, topics_csv: Path, fails: Any
) -> None:
    out = tmp_path / "run"
    train(topics_csv, out)
    (out / "teacher-1").mkdir()
    (out / "teacher-1" / "vocab.json").write_text("theirs")
    before = contents(out)
    told = fails(*words(topics_csv, out), "--overwrite")
    assert f"{out / 'teacher-1'} holds vocab.json" in told
    assert contents(out) == before


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_the_folder_of_a_comparison_is_none_for_a_run(
    more: list[str], tmp_path: Path, topics_csv: Path, fails: Any
) -> None:
    (tmp_path / "compare.json").write_text("{}")
    told = fails(*words(topics_csv, tmp_path), *more)
    assert f"{tmp_path} holds a comparison; give another --out" in told


def test_overwriting_a_run_leaves_what_is_not_of_it(tmp_path: Path, topics_csv: Path) -> None:
    out = tmp_path / "run"
    train(topics_csv, out)
    (out / "notes.txt").write_text("mine")
    assert main([*words(topics_csv, out, seed=3), "--overwrite"]) == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert read(out / "config.json")["seed"] == 3


def test_a_run_of_an_earlier_version_is_known_as_one(tmp_path: Path, topics_csv: Path) -> None:
    out = tmp_path / "run"
    train(topics_csv, out)
    config = read(out / "config.json")
    for name in ("cell", "bigrams", "pretrain", "pretrain_epochs", "teachers"):
        del config[name]
    (out / "config.json").write_text(json.dumps(config))
    (out / "trained_texts.safetensors").unlink()
    assert main([*words(topics_csv, out, seed=3), "--overwrite"]) == 0
    assert read(out / "config.json")["seed"] == 3


def test_out_onto_a_file_fails_before_anything_is_read(tmp_path: Path, fails: Any) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        told = fails("train", tmp_path / "no data at all", "--out", out)
        assert f"{tmp_path / 'file'} is no folder" in told
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names are text")
def test_names_that_are_no_text(tmp_path: Path, topics_csv: Path) -> None:
    data, out = tmp_path / "d\udcff.csv", tmp_path / "run\udcff"
    shutil.copy(topics_csv, data)
    assert train(data, out)["data"].startswith("d\udcff.csv")
    assert main(["train", "--resume", str(out), "--epochs", "2"]) == 0


def test_a_folder_that_goes_away_while_training(
    tmp_path: Path, topics_csv: Path, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"

    def gone(*_: object) -> None:
        shutil.rmtree(out)

    monkeypatch.setattr("fastlstm.train.progress.Progress.on_epoch", gone)
    told = fails(*words(topics_csv, out))
    assert "cannot write" in told
    assert f"there is no folder {out}" in told


def test_out_of_memory_is_one_line_and_files_stay(
    tmp_path: Path, topics_csv: Path, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"

    def full(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr("fastlstm.train.classifier.training.save_parts", full)
    told = fails(*words(topics_csv, out))
    assert "out of memory (Unable to allocate 9 GiB): smaller batches" in told
    monkeypatch.undo()
    assert main(["train", "--resume", str(out), "--quiet"]) == 0


def test_where_nothing_is_trained_no_folder_is_left(tmp_path: Path, fails: Any) -> None:
    fails("train", tmp_path / "gone.csv", "--out", tmp_path / "a" / "b" / "run")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "b").mkdir()
    fails("train", tmp_path / "gone.csv", "--out", tmp_path / "b")
    assert (tmp_path / "b").is_dir()  # it was there before


def test_two_folders_at_once_do_not_hinder_each_other(tmp_path: Path, topics_csv: Path) -> None:
    with FolderLock(tmp_path / "one"):
        train(topics_csv, tmp_path / "other")
    assert sorted(os.listdir(tmp_path / "one")) == []


def test_comparison_folders_likewise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fastlstm.train_imdb import main as train_imdb

    line = ["--data", "sample", "--compare", "--epochs", "1", "--out", str(tmp_path / "c")]
    (tmp_path / "c" / "lstm").mkdir(parents=True)
    (tmp_path / "c" / "lstm" / "model.safetensors").write_text("theirs")
    before = contents(tmp_path)
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    assert train_imdb([*line, "--overwrite"]) == 1
    assert "lstm holds model.safetensors but no run" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "c" / "lstm")
    (tmp_path / "c" / "compare.json").write_text("{}")
    before = contents(tmp_path)
    assert train_imdb([*line, "--overwrite"]) == 1
    assert "c holds compare.json but no run" in capsys.readouterr().err
    assert contents(tmp_path) == before
    with FolderLock(tmp_path / "d"):
        assert train_imdb([*line[:-1], str(tmp_path / "d")]) == 1
    assert f"d is in use: process {os.getpid()}" in capsys.readouterr().err
