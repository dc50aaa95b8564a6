"""Files of another run put into the folder of a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from topics import TOPICS, read, rows, train, write_csv

from fastlstm.cli import main
from fastlstm.train import checkpoint
from fastlstm.train.classifier.loaded_run import load_run

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")

FILES = ("model.safetensors", "vocab.json", "config.json")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Texts, and others of as many words."""
    folder = tmp_path_factory.mktemp("texts")
    texts, labels = rows(60)
    swapped = [" ".join(word[::-1] for word in text.split()) for text in texts]
    others = {"one": (texts, labels), "other": (swapped, labels)}
    return {name: write_csv(folder / f"{name}.csv", found) for name, found in others.items()}


@pytest.fixture(scope="module")
def runs(data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        for parts in ("joined", "linear", "net"):
            train(data["one"], folder / parts, parts=parts)
            train(data["one"], folder / f"{parts} again", parts=parts, seed=1)
            train(data["other"], folder / f"{parts} of others", parts=parts)
    return {path.name: path for path in folder.iterdir()}


def mixed(own: Path, other: Path, name: str, folder: Path) -> Path:
    """Return a copy of a run with a file of another."""
    shutil.copytree(own, folder)
    shutil.copy(other / name, folder / name)
    return folder


@pytest.mark.parametrize("parts", ["joined", "linear", "net"])
@pytest.mark.parametrize("name", FILES)
def test_another_seed(
    parts: str, name: str, runs: dict[str, Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    folder = mixed(runs[parts], runs[f"{parts} again"], name, tmp_path / "run")
    differ = {"vocab.json": ["the words"], "config.json": ["seed"]}
    told = fails("predict", folder, "word1 word2")
    assert f"{folder / 'model.safetensors'} is of another run: " in told
    assert all(what in told for what in differ.get(name, ["seed"]))


@pytest.mark.parametrize("parts", ["joined", "linear", "net"])
@pytest.mark.parametrize("name", FILES[:2])
def test_other_words(
    parts: str, name: str, runs: dict[str, Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    folder = mixed(runs[parts], runs[f"{parts} of others"], name, tmp_path / "run")
    assert "is of another run: the words differ" in fails("predict", folder, "word1 word2")


@pytest.mark.parametrize("name", ["linear", "net"])
def test_other_parts(
    name: str, runs: dict[str, Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    folder = mixed(runs["joined"], runs[name], "model.safetensors", tmp_path / "run")
    told = fails("predict", folder, "word1 word2")
    assert "is of another run: " in told
    assert "parts differ" in told


def test_other_trained_texts(
    data: dict[str, Path], runs: dict[str, Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    name = "trained_texts.safetensors"
    folder = mixed(runs["linear"], runs["linear of others"], name, tmp_path / "run")
    told = fails("evaluate", folder, data["one"])
    assert f"{folder / name} is of another run: the words differ" in told
    assert len(load_run(folder).predict(["word1"])) == 1


def test_what_may_change_is_no_other_run(
    data: dict[str, Path], runs: dict[str, Path], tmp_path: Path
) -> None:
    """The place of the texts, the threads, more epochs: of a run that goes on."""
    folder = Path(shutil.copytree(runs["joined"], tmp_path / "run"))
    moved = str(shutil.copy(data["one"], tmp_path / "moved.csv"))
    more = ["--epochs", "3", "--threads", "1"]
    assert main(["train", moved, "--resume", str(folder), *more]) == 0
    assert read(folder / "config.json")["epochs"] == 3
    assert len(load_run(folder).predict(["word1"])) == 1
    assert main(["evaluate", str(folder), moved, "--no-progress"]) == 0


def test_a_run_that_is_being_extended_has_its_earlier_model(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(runs["net"], tmp_path / "run"))
    config = read(folder / "config.json")
    (folder / "config.json").write_text(json.dumps({**config, "epochs": config["epochs"] + 3}))
    assert len(load_run(folder).predict(["word1"])) == 1


def change_run(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Have a model's file, whose checksum is right, tell another run."""
    path = folder / "model.safetensors"
    tensors, note = checkpoint.load(path, "model")
    note["run"] = change(note["run"])
    checkpoint.save(path, tensors, "model", {k: v for k, v in note.items() if v is not None})


def test_files_of_other_versions(
    runs: dict[str, Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    changes: list[Callable[[dict[str, Any]], object]] = [
        lambda run: None,
        lambda run: {**run, "option of later": 3},
        lambda run: {k: v for k, v in run.items() if k != "analyzer"},
    ]
    for number, change in enumerate(changes):
        folder = Path(shutil.copytree(runs["linear"], tmp_path / f"run{number}"))
        change_run(folder, change)
        assert load_run(folder).labels == list(TOPICS)
    folder = Path(shutil.copytree(runs["linear"], tmp_path / "damaged"))
    change_run(folder, lambda run: json.dumps(run))
    assert "model.safetensors is damaged: its run is" in fails("predict", folder, "word1")
