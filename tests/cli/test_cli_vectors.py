"""`--vectors` and `--freeze-vectors` of the commands that train."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctrl_c import pressing
from topics import SMALL, TOPICS, read, rows, timeless, train, weights, words, write_csv

from fastlstm.cli import main
from fastlstm.text import Vocabulary
from fastlstm.train.classifier.loaded_run import load_run

pytestmark = pytest.mark.usefixtures("no_picture", "threads", "no_debug")

OWN: dict[str, Any] = {"embedding_dim": None}  # the file says it
OTHER = [f"other{number}" for number in range(6)]
D = 5


def vectors() -> dict[str, np.ndarray]:
    """Those of the topics' words, in upper case, and of a few words that no text has."""
    rng = np.random.default_rng(0)
    topic = {f"{name}{n}".upper(): axis for axis, name in enumerate(TOPICS) for n in range(6)}
    far = {word: 3 * np.eye(D)[axis] + 0.1 * rng.standard_normal(D) for word, axis in topic.items()}
    return far | {word: 3 * np.eye(D)[n % 3] for n, word in enumerate(OTHER)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    lines = [" ".join([word, *map(str, v.tolist())]) for word, v in vectors().items()]
    path.write_text("\n".join(["Unwanted, " + "1 " * D, *lines]), encoding="utf-8")
    return path


def table(out: Path) -> tuple[Vocabulary, np.ndarray]:
    run = load_run(out)
    return run.vocab, run.model.embedding.weight.data


def test_frozen_vectors_stay_and_make_later_words_known(
    file: Path, topics_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options: dict[str, Any] = {"lr": 0.05, "epochs": 6, "dropout": 0, "embedding_dropout": 0}
    metrics = train(
        topics_csv, out, vectors=file, freeze_vectors=True, vocab_size=400, **OWN, **options
    )
    vocab, weight = table(out)
    for word, vector in vectors().items():
        np.testing.assert_allclose(weight[vocab.id(word.lower())], vector, rtol=1e-6)
    assert vocab.words[-len(OTHER) :] == OTHER
    assert not weight[0].any()
    assert load_run(out).config.embedding_dim == weight.shape[1] == D
    missing = [n for n, word in enumerate(vocab.words) if word.startswith("word")]
    spread = np.array(list(vectors().values())).std()
    assert weight[missing].std() == pytest.approx(spread, rel=0.2)
    told = capsys.readouterr().out
    known = len(vocab) - 2 - len(OTHER)
    assert f"word vectors: vectors.txt has 18 of the {known} words (3" in told
    assert (
        f"5 numbers each; other words begin at random with their standard deviation, {spread:.3g}"
        in told
    )
    assert "6 more words are known from that file" in told
    assert (metrics["vectors"], metrics["vectors_found"]) == ("vectors.txt", 24)
    assert main(["info", str(out)]) == 0
    told = capsys.readouterr().out
    assert f"began with  the word vectors of {file}; word vectors stay as they are\n" in told
    file.unlink()  # the run holds all it needs
    run = load_run(out)
    assert run.predict(["other0 other3 other0", "other1 other4", "OTHER5 other2 other5"]) == list(
        TOPICS
    )


def test_vectors_that_are_learned(file: Path, topics_csv: Path, tmp_path: Path) -> None:
    metrics = train(topics_csv, tmp_path / "run", vectors=file, lr=0.01, **OWN)
    vocab, weight = table(tmp_path / "run")
    assert not set(OTHER) & set(vocab.words)
    moved = [
        abs(weight[vocab.id(w.lower())] - v).max() for w, v in vectors().items() if w not in OTHER
    ]
    assert min(moved) > 0
    assert max(moved) < 1
    plain = train(topics_csv, tmp_path / "plain", embedding_dim=D, lr=0.01)
    assert plain["test_loss"] != metrics["test_loss"]
    assert "vectors" not in plain


def test_words_of_the_test_part_that_only_the_file_has(file: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", rows(60))
    other = write_csv(
        tmp_path / "b.csv", (["other0 other3", "other1", "other2 other5"] * 5, [*TOPICS] * 5)
    )
    options: dict[str, Any] = {
        "lr": 0.05, "epochs": 8, "dropout": 0, "embedding_dropout": 0, "word_dropout": 0,
    }  # fmt: skip
    known = train(
        data, tmp_path / "run", test=other, vectors=file, freeze_vectors=True, **OWN, **options
    )
    assert known["test_accuracy"] == 1
    full = train(
        data, tmp_path / "full", test=other, vectors=file, freeze_vectors=True, vocab_size=60,
        **OWN, **options,
    )  # fmt: skip
    assert full["test_accuracy"] < 0.5


def test_a_run_with_vectors_is_resumed_only_with_the_same(
    file: Path,
    topics_csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails: Callable[..., str],
) -> None:

    options = {"vectors": file, "freeze_vectors": True, **OWN}
    whole, out = tmp_path / "whole", tmp_path / "broken"
    expected = train(topics_csv, whole, **options)
    with monkeypatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.Progress", pressing(7))
        assert main(words(topics_csv, out, **options)) == 130
    other = tmp_path / "other.txt"
    other.write_text(file.read_text().replace("3.0", "2.0"))
    assert "is of another run: the word vectors differ" in fails(
        "train", "--resume", out, "--vectors", other
    )
    moved = Path(shutil.move(file, tmp_path / "moved.txt"))
    assert f"{file}: No such file or directory" in fails("train", "--resume", out)
    assert main(["train", "--resume", str(out), "--vectors", str(moved)]) == 0
    found = timeless(read(out / "metrics.json"))
    assert found == {**timeless(expected), "vectors": "moved.txt"}
    assert weights(out) == weights(whole)


def test_a_finished_run_with_frozen_vectors_gets_more_epochs(
    file: Path, topics_csv: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(topics_csv, out, vectors=file, freeze_vectors=True, **OWN)
    before = table(out)[1]
    assert main(["train", "--resume", str(out), "--epochs", "3"]) == 0
    np.testing.assert_array_equal(table(out)[1], before)
    assert read(out / "metrics.json")["epochs"] == 3


def test_options_that_contradict_vectors(
    file: Path, topics_csv: Path, misused: Callable[..., str]
) -> None:
    line = ["train", topics_csv, "--vectors", file]
    assert "--vectors and --embedding-dim exclude each other" in misused(
        *line, "--embedding-dim", 8
    )
    assert "pretrain makes word vectors of its own" in misused(*line, "--pretrain")
    assert "--freeze-vectors is True without vectors" in misused(
        "train", topics_csv, "--freeze-vectors"
    )


def test_a_run_cannot_get_vectors_later(
    file: Path, three: Path, misused: Callable[..., str]
) -> None:
    for name, value in (("--vectors", file), ("--from", three)):
        told = misused("train", "--resume", three, name, value, "--epochs", 9)
        assert f"{name} is {value}, but the run in {three} has None; a resumed run keeps" in told


def test_vectors_of_no_use(topics_csv: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    file = tmp_path / "v.txt"
    file.write_text("chat 1 2\nchien 1 2\n")
    line = ["train", topics_csv, "--out", tmp_path / "run", "--vectors"]
    told = fails(*line, file)
    assert "the vectors have none of the" in told
    assert "are they of another language?" in told
    file.write_text("music0 1 2\nsport0 1\n")
    assert f"{file} line 2 ('sport0') has 1 number, expected 2" in fails(*line, file)
    assert not (tmp_path / "run").exists()


def test_another_size_in_python(file: Path, topics_csv: Path) -> None:
    from fastlstm.train.classifier import texts
    from fastlstm.train.classifier.text_config import TextConfig

    given = {"data": str(topics_csv), "vectors": str(file)}
    with pytest.raises(ValueError, match="embedding_dim is 8, but the vectors have 5 numbers"):
        texts.load(TextConfig(**given, embedding_dim=SMALL["embedding_dim"]))
    assert texts.load(TextConfig(**given, embedding_dim=D)).start is not None
