"""``fastlstm train --pretrain --unlabelled``: what is read and learned, going on, every refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from each_step import press_ctrl_c
from topics import read, rows, timeless, train, weights, words, write_csv, write_json_lines

from fastlstm.cli import main
from fastlstm.train.classifier.text_config import TextConfig

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")
TWO = ("good", "bad")
HOW: dict[str, Any] = {"pretrain": True, "pretrain_epochs": 1, "epochs": 1, "teachers": 1}
MORE = 80


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("labelled") / "two.csv", rows(40, TWO))


def texts_of(count: int = MORE) -> list[str]:
    texts, _ = rows(count, TWO, seed=1)
    return [f"{text} only{n % 3}" for n, text in enumerate(texts)]


def write_lines(path: Path, texts: list[str]) -> Path:
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def test_texts_without_a_label_are_learned_from(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = write_lines(tmp_path / "more.txt", texts_of())
    metrics = train(data, tmp_path / "run", **HOW, unlabelled=more)
    assert "two.csv, 40 texts, 80 without a label" in capsys.readouterr().out
    assert metrics["pretrain_texts"] == metrics["train_texts"] + MORE
    assert metrics["taught_texts"] == MORE
    known = read(tmp_path / "run" / "vocab.json")["words"]
    assert {"only0", "only1", "only2"} <= set(known)
    without = train(data, tmp_path / "without", **{**HOW, "teachers": None})
    assert without["pretrain_texts"] == metrics["train_texts"]
    labelled = read(tmp_path / "without" / "vocab.json")["words"]
    assert known[: len(labelled)] == labelled


def test_how_the_texts_are_kept_changes_nothing(data: Path, tmp_path: Path) -> None:
    texts = texts_of()
    lines = write_lines(tmp_path / "more.txt", texts)
    table = write_csv(tmp_path / "more.csv", (texts, ["?"] * MORE))
    objects = write_json_lines(tmp_path / "more.jsonl", (texts, [""] * MORE))
    parts = [
        write_lines(tmp_path / "a.txt", texts[:30]),
        write_lines(tmp_path / "b.txt", texts[30:]),
    ]
    found = []
    for n, files in enumerate(([lines], [table], [objects], parts)):
        line = words(data, tmp_path / f"run{n}", **HOW)
        assert main([*line, *(word for file in files for word in ("--unlabelled", str(file)))]) == 0
        found.append(weights(tmp_path / f"run{n}"))
    assert len({len(one) for one in found}) <= 2  # the options in the file have the names
    import fastlstm as fl

    runs = [fl.load(tmp_path / f"run{n}") for n in range(4)]
    said = [run.predict_proba(texts[:9]).tolist() for run in runs]
    assert said == said[:1] * 4


def test_beside_a_linear_part(data: Path, tmp_path: Path) -> None:
    more = write_lines(tmp_path / "more.txt", [*texts_of(), "", "!!"])
    metrics = train(data, tmp_path / "run", **HOW, unlabelled=more, parts="joined")
    assert metrics["taught_texts"] == MORE  # those that have a word
    assert metrics["teachers_validation_accuracy"] is not None


def test_of_many_classes_there_are_no_teachers(
    topics_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = write_lines(tmp_path / "more.txt", texts_of())
    metrics = train(topics_csv, tmp_path / "run", **HOW, unlabelled=more)
    assert "no teachers: they are for two classes" in capsys.readouterr().out
    assert metrics["pretrain_texts"] == metrics["train_texts"] + MORE
    assert not (tmp_path / "run" / "teacher-1").exists()


def test_a_stopped_run_goes_on_with_the_same_texts_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., str],
    misused: Callable[..., str],
) -> None:  # fmt: skip
    more = write_lines(tmp_path / "more.txt", texts_of())
    given = {**HOW, "pretrain_epochs": 2, "unlabelled": more}
    whole = train(data, tmp_path / "whole", **given)
    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, epochs=1, more=1)  # of pretraining
        assert main(words(data, out, **given)) == 130
    first, *rest = texts_of()
    write_lines(more, [first.replace("only0", "only1"), *rest])  # as many words
    assert "the texts without a label" in fails("train", "--resume", out)
    moved = write_lines(tmp_path / "moved.txt", texts_of())
    more.unlink()
    assert "more.txt" in fails("train", "--resume", out)
    assert main(["train", "--resume", str(out), "--unlabelled", str(moved)]) == 0
    assert timeless(read(out / "metrics.json")) == timeless(whole)
    other = tmp_path / "other"
    train(data, other, **{**HOW, "teachers": None})
    assert "a resumed run keeps its options" in misused(
        "train", "--resume", other, "--unlabelled", moved
    )


def test_files_that_are_refused(data: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    empty, two = write_lines(tmp_path / "empty.txt", ["", " "]), tmp_path / "two.csv"
    two.write_text("a,b\n1,2\n")
    more = write_lines(tmp_path / "more.txt", texts_of())
    for files, told in (
        ([empty], f"{empty} is empty: it has no texts"),
        ([data], f"--unlabelled is {data}, which is data too: expected other texts"),
        ([more, more], f"--unlabelled is {more}, which is unlabelled too"),
        ([tmp_path / "none.txt"], "none.txt"),
        ([two], "text"),
    ):
        line = words(data, tmp_path / "run", **HOW)
        told_now = fails(*line, *(word for file in files for word in ("--unlabelled", file)))
        assert told.removeprefix("--") in told_now
        assert not (tmp_path / "run").exists()


def test_they_are_for_pretraining(data: Path, tmp_path: Path, misused: Callable[..., str]) -> None:
    told = misused("train", data, "--unlabelled", tmp_path / "more.txt")
    assert "--unlabelled does nothing here: there is no pretraining without --pretrain" in told
    told = misused("train", data, "--pretrain", "--teachers", "2")
    assert "--teachers does nothing here: they are for texts without a label" in told


def test_options_of_earlier_versions_are_read() -> None:
    saved = TextConfig(pretrain=True, unlabelled=("a.txt",)).to_json()
    assert TextConfig.from_json({**saved, "unlabelled": ["a.txt"]}).unlabelled == ("a.txt",)
    for before in (True, False):
        assert TextConfig.from_json({**saved, "unlabelled": before}).unlabelled == ()
    with pytest.raises(TypeError, match="unlabelled has 5, expected names of files"):
        TextConfig.from_json({**saved, "unlabelled": [5]})
    with pytest.raises(TypeError, match="unlabelled is 'a', expected"):
        TextConfig(unlabelled="a")  # type: ignore[arg-type]
