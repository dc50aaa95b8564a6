"""`train_imdb --from RUN`: a run that begins with an earlier one."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctrl_c import pressing
from tiny_imdb import arguments, read, timeless, train

from fastlstm.cli import main as fastlstm
from fastlstm.train.classifier import imdb
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train_imdb import main

pytestmark = pytest.mark.usefixtures("own_cache", "no_picture", "threads")

# Those of the earlier run, or such that nothing is learned.
NONE: dict[str, Any] = dict.fromkeys(
    ("parts", "embedding_dim", "hidden_size", "average", "max_length", "vocab_size")
)
STILL: dict[str, Any] = {**NONE, "lr": 1e-12, "epochs": 1}


@pytest.fixture(scope="module")
def earlier(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("earlier") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTLSTM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(reviews, out, cell="gru", vocab_size=70, max_length=9)
    return out


@pytest.fixture(scope="module")
def others(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews of which training has two new words, and no longer two that the test part has."""
    folder = Path(shutil.copytree(reviews, tmp_path_factory.mktemp("others") / "aclImdb"))
    for path in folder.glob("train/*/*.txt"):
        text = f"{path.read_text()} ".replace("word3 ", "fresh3 ").replace("word4 ", "fresh4 ")
        path.write_text(text)
    return folder


def begin(data: Path, out: Path, earlier: Path, **options: Any) -> dict[str, Any]:
    assert main([*arguments(data, out, **options), "--from", str(earlier)]) == 0
    return read(out / "metrics.json")


def test_it_begins_with_weights_words_and_options(
    earlier: Path, others: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = begin(others, tmp_path / "run", earlier, **STILL)
    old, new = load_run(earlier), load_run(tmp_path / "run")
    told = capsys.readouterr().out
    assert f"begins with the run in {earlier}; the same classes: its head stays" in told
    assert f"its {len(old.vocab)} words and 2 new ones; 0.0% of the" in told
    assert new.vocab.words == [*old.vocab.words, "fresh3", "fresh4"]
    assert (new.config.cell, new.config.max_length, new.config.parts) == ("gru", 9, "net")
    for name, value in old.model.state_dict().items():
        own = new.model.state_dict()[name][: len(value)]
        np.testing.assert_allclose(own, value, atol=1e-6, err_msg=name)
    assert metrics["from_run"] == str(earlier)
    texts = ["word3 word5 fresh3", "word8"]
    known = [text.replace("fresh3", "unheard") for text in texts]
    np.testing.assert_allclose(new.predict_proba(known)[1], old.predict_proba(known)[1], atol=1e-5)
    assert fastlstm(["info", str(tmp_path / "run")]) == 0
    assert f"began with  the run in {earlier}\n" in capsys.readouterr().out


def test_the_reviews_have_the_words_of_the_earlier_run(earlier: Path, others: Path) -> None:
    vocab = load_run(earlier).vocab
    config = Config(data=str(others), from_run=str(earlier), vocab_size=len(vocab) + 1)
    data = imdb.reviews(config)
    assert data.vocab.words == [*vocab.words, "fresh3"]
    assert data.test is not None
    text = next(p for p in sorted(others.glob("test/neg/*.txt")) if "word3 " in p.read_text())
    words = text.read_text().split()
    rows = [data.vocab.decode(data.test.row(n)).split() for n in range(len(data.test))]
    assert words in rows, "a word that only the earlier run and the test part have is known"
    assert "fresh3" in data.vocab.decode(data.train.tokens)
    assert "fresh4" not in data.vocab.decode(data.train.tokens)


def test_the_linear_part_is_trained_on_the_new_reviews(
    earlier: Path, others: Path, tmp_path: Path
) -> None:
    options = {**STILL, "parts": "joined"}
    metrics = begin(others, tmp_path / "joined", earlier, **options)
    alone = train(others, tmp_path / "linear", parts="linear")
    assert metrics["linear_test_accuracy"] == alone["test_accuracy"]
    net = begin(others, tmp_path / "net", earlier, **STILL)
    assert metrics["net_test_accuracy"] == net["test_accuracy"]


def test_frozen_words_of_the_earlier_run(earlier: Path, others: Path, tmp_path: Path) -> None:
    begin(others, tmp_path / "run", earlier, **NONE, freeze_vectors=True)
    old, new = load_run(earlier), load_run(tmp_path / "run")
    assert new.vocab.words == old.vocab.words
    theirs, ours = old.model.state_dict(), new.model.state_dict()
    same = {name for name, value in ours.items() if np.array_equal(value, theirs[name])}
    assert same == {"embedding.weight"}


def test_from_a_run_on_own_texts(reviews: Path, tmp_path: Path, capsys: Any) -> None:
    """Its classes have other names, so they are others."""
    with open(tmp_path / "own.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows((f"word{n % 7} own{n % 5}", "ab"[n % 2]) for n in range(40))
    line = ["--parts", "net", "--epochs", "1", "--hidden-size", "6", "--out", tmp_path / "own"]
    assert fastlstm(["train", str(tmp_path / "own.csv"), *map(str, line)]) == 0
    begin(reviews, tmp_path / "run", tmp_path / "own", **STILL)
    assert "other classes than its 2: they get a new head" in capsys.readouterr().out
    assert load_run(tmp_path / "run").labels == ["negative", "positive"]
    assert (
        load_run(tmp_path / "run").vocab.words[2:9] == load_run(tmp_path / "own").vocab.words[2:9]
    )


ERRORS = [
    (["--cell", "lstm"], "--cell is lstm, but the run in {} has gru, which its weights are made"),
    (["--vocab-size", "9"], "vocab_size is 9, but the run in {} has 62 words"),
    (["--vectors", "v.txt"], "--vectors and --from exclude each other: that run has its own"),
    (["--pretrain"], "--pretrain makes word vectors of its own"),
    (["--parts", "linear"], "--parts is 'linear': there is no net to pretrain, or to begin with"),
    (["--compare"], "--from and --compare exclude each other"),
]


@pytest.mark.parametrize(("options", "message"), ERRORS)
def test_options_that_contradict_the_earlier_run(
    options: list[str], message: str, earlier: Path, reviews: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    line = ["--data", reviews, "--out", tmp_path / "run", "--from", earlier, *options]
    try:
        status = main(list(map(str, line)))
    except SystemExit as end:
        status = int(str(end.code))
    assert status == (1 if "--vocab-size" in options else 2)
    assert message.format(earlier) in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_is_no_earlier_run(
    earlier: Path, reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(folder: Path, *more: object) -> str:
        capsys.readouterr()
        line = ["--data", reviews, "--out", tmp_path / "run", "--from", folder, *more]
        assert main(list(map(str, line))) == 1
        return capsys.readouterr().err

    assert f"{tmp_path / 'none'} does not exist; expected the folder" in told(tmp_path / "none")
    assert "holds no run: there is no config.json" in told(reviews)
    copy = Path(shutil.copytree(earlier, tmp_path / "copy"))
    same = ("--out", copy, "--overwrite")
    assert "holds the run to begin with, which stays as it is" in told(copy, *same)
    (copy / "model.safetensors").write_bytes(b"")
    assert "model.safetensors is damaged" in told(copy)


def test_it_is_resumed(
    earlier: Path, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    theirs = Path(shutil.copytree(earlier, tmp_path / "theirs"))
    expected = begin(others, tmp_path / "whole", theirs, **NONE)
    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.Progress", pressing(5))
        assert main([*arguments(others, out, **NONE), "--from", str(theirs)]) == 130
    moved = shutil.move(theirs, tmp_path / "moved")
    assert main(["--resume", str(out), "--no-progress"]) == 1
    assert main(["--resume", str(out), "--from", str(moved), "--no-progress"]) == 0
    found = timeless(read(out / "metrics.json"))
    assert found == {**timeless(expected), "from_run": str(moved)}
    models = [(f / "model.safetensors").read_bytes() for f in (out, tmp_path / "whole")]
    assert models[0] == models[1]
    more = ["--resume", str(out), "--epochs", "4", "--no-progress"]
    assert main([*more, "--from", str(moved)]) == 0
    assert read(out / "metrics.json")["epochs"] == 4
