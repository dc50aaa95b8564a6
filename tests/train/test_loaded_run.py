"""Runs read back: of IMDB and of a user's texts, whole and damaged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_imdb import read, train

import fastlstm
from fastlstm.train import checkpoint
from fastlstm.train.classifier import classify, texts
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.classifier.parts import load_parts
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.model_file import load_model

pytestmark = pytest.mark.usefixtures("own_cache", "no_picture")

CLASSES = ("high", "low", "middle")


@pytest.fixture(scope="module")
def imdb(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of train_imdb."""
    out = tmp_path_factory.mktemp("imdb") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTLSTM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(reviews, out)
    return out


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of three classes."""
    folder = tmp_path_factory.mktemp("own")
    lines = [f"{CLASSES[n % 3]}{n % 7} word{n % 5},{CLASSES[n % 3]}" for n in range(45)]
    (folder / "a.csv").write_text("\n".join(["text,label", *lines]))
    config = TextConfig(data=str(folder / "a.csv"), hidden_size=4, embedding_dim=4, epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        classify.run(texts.load, config, RunFolder(folder / "run"))
    return folder / "run"


@pytest.fixture
def copy(own: Path, tmp_path: Path) -> Path:
    return shutil.copytree(own, tmp_path / "run")


def test_a_run_of_imdb(imdb: Path) -> None:
    run = load_run(imdb)
    assert run.labels == ["negative", "positive"]
    assert type(run.config) is Config
    assert run.folder.path == imdb
    assert len(run.vocab) == run.model.embedding.num_embeddings
    saved = load_model(imdb / "model.safetensors")
    tokens = [[2, 3, 4]]
    np.testing.assert_array_equal(run.model(tokens), saved(tokens))


def test_a_run_of_own_texts(own: Path) -> None:
    run = load_run(str(own))
    assert run.labels == list(CLASSES)
    assert isinstance(run.config, TextConfig)
    assert run.model.num_outputs == 3
    encoded = run.encode(["low1 word2 never", ""])
    assert encoded.lengths.tolist() == [3, 0]
    assert run.vocab.decode(encoded.row(0)) == "low1 word2 <unk>"
    assert run.log_probabilities(encoded).shape == (2, 3)


def test_texts_are_cut_as_in_training(copy: Path) -> None:
    run = load_run(copy)
    run = replace(run, config=replace(run.config, max_length=4))
    (row,) = (run.encode(["low0 low3 low6 word1 word2 word3"]).row(0),)
    assert run.vocab.decode(row) == "low0 low3 word2 word3"


def test_options_changed_by_hand_are_those_of_another_run(copy: Path) -> None:
    config = read(copy / "config.json")
    (copy / "config.json").write_text(json.dumps({**config, "max_length": 4}))
    with pytest.raises(
        ValueError, match=r"model\.safetensors is of another run: max_length differ"
    ):
        load_run(copy)


def test_an_unfinished_run_has_the_model_of_its_best_epoch(copy: Path) -> None:
    (copy / "metrics.json").unlink()
    assert load_run(copy).labels == list(CLASSES)
    (copy / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=f"no model yet: .* resume={copy}"):
        load_run(copy)


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone does not exist"):
        load_run(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"holds no run: there is no config\.json"):
        load_run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="file holds no run"):
        load_run(tmp_path / "file")


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json"])
def test_a_file_is_missing(name: str, copy: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"is damaged: there is no {name}"):
        load_run(copy)


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json", "config.json"])
def test_a_file_is_damaged(name: str, copy: Path) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        load_run(copy)


def test_options_of_another_version(copy: Path) -> None:
    config = read(copy / "config.json")
    (copy / "config.json").write_text(json.dumps({**config, "novelty": 1}))
    version = fastlstm.__version__
    with pytest.raises(ValueError, match=r"another version.*\['novelty'\]") as caught:
        load_run(copy)
    assert f"this is fastlstm {version}, the run is of {version}; use that" in str(caught.value)
    (copy / "metrics.json").write_text("{")
    with pytest.raises(ValueError, match="the run is of an unknown one"):
        load_run(copy)


def test_a_vocabulary_of_another_tokenizer(copy: Path) -> None:
    vocab = read(copy / "vocab.json")
    (copy / "vocab.json").write_text(json.dumps({**vocab, "tokenizer": 99}))
    with pytest.raises(ValueError, match="made with tokenizer version 99"):
        load_run(copy)
    (copy / "vocab.json").write_text(json.dumps({**vocab, "words": vocab["words"][:-1]}))
    with pytest.raises(ValueError, match=r"vocab\.json has .* words, model\.safetensors is for"):
        load_run(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a", "b"]}, "its classes are .*, expected 3 names"),
        ({"labels": ["a", "b", 3]}, "its classes are"),
        ({"model": {"vocab_size": 5, "novelty": 1}}, "no model that this version can build"),
        ({"model": {"vocab_size": 5}}, "no model that this version can build"),
    ],
)
def test_a_model_of_another_kind(change: dict[str, Any], message: str, copy: Path) -> None:
    path = copy / "model.safetensors"
    tensors, note = checkpoint.load(path, "model")
    checkpoint.save(path, tensors, "model", {**note, **change})
    with pytest.raises(checkpoint.CheckpointError, match=message):
        load_run(copy)


def test_a_model_of_another_format(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "VERSION", 2)
    with pytest.raises(checkpoint.CheckpointError, match="format version 1, expected 2"):
        load_run(copy)


@pytest.mark.parametrize("how", ["replaced", "removed", "vocab"])
def test_a_run_that_is_replaced_while_it_is_read(
    how: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of two runs are never mixed, and it is not called damage."""
    copy = shutil.copytree(own, tmp_path / "copy")

    def meanwhile(path: Path) -> Any:
        read = load_parts(path)
        folder = RunFolder(copy)
        config = json.loads(folder.config.read_text())
        if how == "removed":
            shutil.rmtree(copy)
        else:
            folder.begin({**config, "seed": 5})
        if how == "vocab":
            shutil.copy(own / "vocab.json", folder.vocab)  # of as many words
        return read

    monkeypatch.setattr("fastlstm.train.classifier.loaded_run.load_parts", meanwhile)
    with pytest.raises(ValueError, match="copy was given to another run while it was read"):
        load_run(copy)
    if how != "removed":
        monkeypatch.undo()
        with pytest.raises(FileNotFoundError, match="has no model yet"):
            load_run(copy)
