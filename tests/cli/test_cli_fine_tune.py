"""`fastlstm train --from RUN`: a run that begins with an earlier one."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctrl_c import pressing
from topics import TOPICS, read, rows, timeless, train, weights, words, write_csv

from fastlstm.cli import main
from fastlstm.train.classifier import classify, texts
from fastlstm.train.classifier.fine_tune import fine_tuning_options
from fastlstm.train.classifier.loaded_run import LoadedRun, load_run
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import TextConfig

pytestmark = pytest.mark.usefixtures("no_picture", "threads", "no_debug")

LEARNING = {"lr": 0.05, "dropout": 0, "embedding_dropout": 0, "word_dropout": 0}
NONE: dict[str, Any] = dict.fromkeys(("embedding_dim", "hidden_size", "average", "max_length"))
STILL: dict[str, Any] = {**NONE, "lr": 1e-12, "epochs": 1}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that knows its three topics well."""
    folder = tmp_path_factory.mktemp("earlier")
    data = write_csv(folder / "a.csv", rows(300))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(data, folder / "run", epochs=8, bigrams=64, cell="gru", **LEARNING)
    return folder / "run"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fresh(count: int, new: str = "fresh") -> tuple[list[str], list[str]]:
    """Texts of the same topics with more words."""
    told, labels = rows(count, seed=1)
    return [f"{text} {new}{n % 3}" for n, text in enumerate(told)], labels


def test_weights_words_and_options_are_those_of_the_earlier_run(
    earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, data = files(earlier), write_csv(tmp_path / "new.csv", fresh(60))
    metrics = _train(data, tmp_path / "run", earlier, **STILL)
    assert files(earlier) == before
    old, new = load_run(earlier), load_run(tmp_path / "run")
    assert new.vocab.words[: len(old.vocab)] == old.vocab.words
    assert sorted(new.vocab.words[len(old.vocab) :]) == ["fresh0", "fresh1", "fresh2"]
    theirs = old.model.state_dict()
    for name, value in new.model.state_dict().items():
        np.testing.assert_allclose(value[: len(theirs[name])], theirs[name], rtol=1e-6)
    assert abs(new.model.embedding.weight.data[-3:]).min() > 0
    assert new.config.from_run == str(earlier)
    for name in ("cell", "hidden_size", "embedding_dim", "bigrams", "max_length", "word_dropout"):
        assert getattr(new.config, name) == getattr(old.config, name), name
    assert (new.config.batch_size, new.config.epochs) == (16, 1)
    assert metrics["from_run"] == str(earlier)
    assert metrics["from_model"] == hashlib.sha256(before["model.safetensors"]).hexdigest()
    told = capsys.readouterr().out
    assert f"begins with the run in {earlier}; the same classes: its head stays\n" in told
    assert (
        f"its {len(old.vocab)} words and 3 new ones; 0.0% of the running words are unknown" in told
    )
    assert metrics["test_accuracy"] > 0.9  # as the earlier run had learned it
    assert main(["info", str(tmp_path / "run")]) == 0
    assert f"began with  the run in {earlier}\n" in capsys.readouterr().out


def _train(data: Path, out: Path, earlier: Path, **options: Any) -> dict[str, Any]:
    line = [*words(data, out, **options), "--from", str(earlier)]
    assert main(line) == 0
    return read(out / "metrics.json")


def test_a_few_texts_are_enough(earlier: Path, tmp_path: Path) -> None:
    data, test = (
        write_csv(tmp_path / "few.csv", rows(9, seed=5)),
        write_csv(tmp_path / "t.csv", rows(90, seed=6)),
    )
    options: dict[str, Any] = {**NONE, "test": test, "validation": 0, "epochs": 3}
    assert _train(data, tmp_path / "run", earlier, **options)["test_accuracy"] > 0.9
    assert train(data, tmp_path / "alone", **options)["test_accuracy"] < 0.8
    assert load_run(tmp_path / "run").config.lr == LEARNING["lr"]


def test_other_classes_get_a_new_head(earlier: Path, tmp_path: Path, capsys: Any) -> None:
    classes = ("music", "sport", "politics")
    data = write_csv(tmp_path / "a.csv", rows(60, classes))
    _train(data, tmp_path / "run", earlier, **STILL)
    old, new = load_run(earlier), load_run(tmp_path / "run")
    assert new.labels == sorted(classes)
    assert "other classes than its 3: they get a new head" in capsys.readouterr().out
    theirs, ours = old.model.state_dict(), new.model.state_dict()
    assert abs(ours["bigrams.weight"]).max() < 1e-9
    assert abs(ours["head.weight"] - theirs["head.weight"]).min() > 0
    np.testing.assert_allclose(ours["gru.weight_hh_l0"], theirs["gru.weight_hh_l0"], atol=1e-6)
    two = write_csv(tmp_path / "two.csv", rows(60, ("music", "sport")))
    metrics = _train(two, tmp_path / "two", earlier, **{**NONE, "epochs": 8})
    assert metrics["labels"] == ["music", "sport"]
    assert metrics["test_accuracy"] > 0.8


def test_the_size_of_the_vocabulary(
    earlier: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    data, size = write_csv(tmp_path / "a.csv", fresh(60)), len(load_run(earlier).vocab)
    for room in (0, 1):
        _train(data, tmp_path / str(room), earlier, vocab_size=size + room, **STILL)
        assert load_run(tmp_path / str(room)).vocab.words[size:] == ["fresh0"][:room]
    line = words(data, tmp_path / "no", vocab_size=size - 1, **STILL)
    told = fails(*line, "--from", earlier)
    assert f"vocab_size is {size - 1}, but the run in {earlier} has {size} words" in told


def test_frozen_word_vectors_of_the_earlier_run(earlier: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", fresh(60))
    _train(data, tmp_path / "run", earlier, freeze_vectors=True, **NONE)
    old, new = load_run(earlier), load_run(tmp_path / "run")
    assert new.vocab.words == old.vocab.words
    theirs, ours = old.model.state_dict(), new.model.state_dict()
    same = {name for name, value in ours.items() if np.array_equal(value, theirs[name])}
    assert same == {"embedding.weight"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lstm"}, "--cell is lstm, but the run in {} has gru, which its weights are made"),
        ({"hidden_size": 9}, "--hidden-size is 9, but the run in {} has 8"),
        ({"embedding_dim": 9}, "--embedding-dim is 9, but the run in {} has 8"),
        ({"bigrams": 0}, "--bigrams is 0, but the run in {} has 64"),
        ({"dtype": "float64"}, "--dtype is float64, but the run in {} has float32"),
        ({"vectors": "v.txt"}, "--vectors and --from exclude each other: that run has its own"),
        ({"pretrain": True}, "--pretrain makes word vectors of its own"),
    ],
)
def test_options_that_contradict_the_earlier_run(
    options: dict[str, Any],
    message: str,
    earlier: Path,
    topics_csv: Path,
    tmp_path: Path,
    misused: Callable[..., str],
) -> None:
    line = words(topics_csv, tmp_path / "run", **{**NONE, **options})
    assert message.format(earlier) in misused(*line, "--from", earlier)
    assert not (tmp_path / "run").exists()


def test_what_is_no_earlier_run(
    earlier: Path, topics_csv: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    line = ["train", topics_csv, "--out", tmp_path / "run", "--from"]
    assert f"{tmp_path / 'none'} does not exist; expected the folder" in fails(
        *line, tmp_path / "none"
    )
    assert "holds no run: there is no config.json" in fails(*line, topics_csv.parent)
    broken = Path(shutil.copytree(earlier, tmp_path / "broken"))
    model = broken / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-9])
    assert f"{model} is damaged" in fails(*line, broken)
    before = files(earlier)
    same = ["train", topics_csv, "--from", earlier, "--out", earlier]
    assert "holds a finished run" in fails(*same)
    assert "holds the run to begin with, which stays as it is" in fails(*same, "--overwrite")
    assert files(earlier) == before


def test_it_is_resumed_to_the_same_bits(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., str]
) -> None:

    data, theirs = (
        write_csv(tmp_path / "a.csv", fresh(60)),
        Path(shutil.copytree(earlier, tmp_path / "theirs")),
    )
    expected = _train(data, tmp_path / "whole", theirs, **NONE)
    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.Progress", pressing(5))
        assert main([*words(data, out, **NONE), "--from", str(theirs)]) == 130
    moved = shutil.move(theirs, tmp_path / "moved")
    assert f"{theirs} does not exist" in fails("train", "--resume", out)
    other = tmp_path / "other"
    _train(data, other, moved, **STILL)
    assert "is of another run: the earlier run" in fails("train", "--resume", out, "--from", other)
    assert main(["train", "--resume", str(out), "--from", str(moved)]) == 0
    found = timeless(read(out / "metrics.json"))
    assert found == {**timeless(expected), "from_run": str(moved)}
    assert weights(out) == weights(tmp_path / "whole")


def test_a_finished_one_gets_more_epochs(earlier: Path, tmp_path: Path) -> None:
    data, out = write_csv(tmp_path / "a.csv", fresh(60)), tmp_path / "run"
    _train(data, out, earlier, **NONE)
    assert main(["train", "--resume", str(out), "--epochs", "4"]) == 0
    assert read(out / "metrics.json")["epochs"] == 4


def test_in_python_from_a_run_of_two_classes(two: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", rows(60, ("good", "bad"), seed=3))
    options = fine_tuning_options(str(two), data=str(data), epochs=2)
    folder = RunFolder(tmp_path / "run")
    classify.run(texts.load, TextConfig(**options), folder)
    found: LoadedRun = load_run(folder.path)
    assert (found.model.num_outputs, found.labels) == (1, ["bad", "good"])
    assert set(TOPICS).isdisjoint(found.labels)
    with pytest.raises(ValueError, match="^hidden_size is 3, but the run in .* has 8"):
        fine_tuning_options(str(two), hidden_size=3)
