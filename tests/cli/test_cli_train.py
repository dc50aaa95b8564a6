"""`fastlstm train`: files, metrics, classes, data of every kind, options."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from topics import (
    SMALL,
    TOPICS,
    read,
    rows,
    timeless,
    train,
    weights,
    words,
    write_csv,
    write_folder,
    write_json_lines,
)

import fastlstm as fl
from fastlstm.cli import main
from fastlstm.nn import cross_entropy
from fastlstm.text import batches
from fastlstm.text.labelled import read_labelled
from fastlstm.train import evaluate
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.classifier.text_config import TextConfig

pytestmark = pytest.mark.usefixtures("no_picture", "threads", "no_debug")

LEARNING = {"lr": 0.05, "dropout": 0, "embedding_dropout": 0, "word_dropout": 0}


def test_three_classes_are_learnt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_csv(tmp_path / "a.csv", rows(300))
    metrics = train(data, tmp_path / "run", epochs=8, **LEARNING)
    assert metrics["test_accuracy"] > 0.9
    assert metrics["test_macro_f1"] > 0.9
    assert metrics["test_f1"].keys() == set(TOPICS)
    printed = capsys.readouterr().out
    assert "classes (texts of each): music (81), sport (81), weather (81)\n" in printed
    assert f"test accuracy  {metrics['test_accuracy']:.2%} of 30 texts" in printed
    assert f"test macro F1  {metrics['test_macro_f1']:.4f}" in printed
    assert f"files are in {tmp_path / 'run'}" in printed


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_two_classes_are_learnt_with_one_logit(cell: str, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", rows(200, ("yes", "no")))
    metrics = train(data, tmp_path / "run", epochs=8, cell=cell, **LEARNING)
    assert metrics["test_accuracy"] > 0.9
    trained = load_run(tmp_path / "run")
    assert (trained.model.num_outputs, trained.labels) == (1, ["no", "yes"])


def test_files_and_metrics(tmp_path: Path, topics_csv: Path) -> None:
    out = tmp_path / "run"
    metrics = train(topics_csv, out)
    assert {path.name for path in out.iterdir()} == {
        "config.json", "metrics.json", "metrics.jsonl", "vocab.json", "model.safetensors",
        "trained_texts.safetensors",
    }  # fmt: skip
    config = read(out / "config.json")
    assert {item.name for item in fields(TextConfig)} == config.keys()
    assert {name: config[name] for name in SMALL} == SMALL
    assert (config["text_column"], config["label_column"]) == ("text", "label")
    assert config["data"] == str(topics_csv)
    assert metrics["labels"] == list(TOPICS)
    assert [metrics[f"{part}_texts"] for part in ("train", "validation", "test")] == [72, 9, 9]
    assert "topics.csv" in metrics["data"]


def test_what_is_tested_is_the_saved_model(tmp_path: Path) -> None:
    data, test = rows(60), rows(31, seed=1)
    path = write_csv(tmp_path / "test.csv", test)
    metrics = train(write_csv(tmp_path / "a.csv", data), tmp_path / "run", test=path)
    assert metrics["test_texts"] == 31
    trained = load_run(tmp_path / "run")
    encoded = trained.encode(test[0])
    labels = np.array([trained.labels.index(label) for label in test[1]])
    encoded = type(encoded)(encoded.tokens, encoded.offsets, labels)
    score = evaluate(trained.model, batches(encoded, 128), cross_entropy)
    assert (score.accuracy, score.loss) == (metrics["test_accuracy"], metrics["test_loss"])


def test_every_kind_of_data_gives_the_same_run(tmp_path: Path) -> None:
    data = rows(45)
    paths = [
        write_csv(tmp_path / "a.csv", data),
        write_csv(tmp_path / "a.tsv", data, delimiter="\t"),
        write_csv(tmp_path / "semicolons.csv", data, delimiter=";"),
        write_csv(tmp_path / "names.csv", data, ("words", "kind")),
        write_json_lines(tmp_path / "a.jsonl", data),
    ]
    options = [{} for _ in paths]
    options[2] = {"delimiter": ";"}
    options[3] = {"text_column": "words", "label_column": "kind"}
    for number, path in enumerate(paths):
        train(path, tmp_path / f"run{number}", **options[number])
    assert len({weights(tmp_path / f"run{number}") for number in range(len(paths))}) == 1


def test_folder_of_classes_and_a_separate_one_to_test(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "train", rows(45))
    test = write_folder(tmp_path / "test", rows(12, seed=1))
    metrics = train(data, tmp_path / "run", test=test)
    assert metrics["labels"] == list(TOPICS)
    assert metrics["test_texts"] == 12
    assert metrics["train_texts"] + metrics["validation_texts"] == 45
    # files of a folder come class by class: the same texts in that order are the same run
    found = read_labelled(data)
    again = write_csv(tmp_path / "again.csv", (found.texts, found.labels))
    train(again, tmp_path / "other", test=test)
    assert weights(tmp_path / "other") == weights(tmp_path / "run")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    texts, labels = rows(30, ("gr\u00fcn", "r\u00f4ti"))
    content = "text,label\n" + "".join(f"{t},{x}\n" for t, x in zip(texts, labels, strict=True))
    (tmp_path / "a.csv").write_bytes(content.encode(encoding))
    given = {"encoding": encoding} if encoding == "cp1252" else {}
    metrics = train(tmp_path / "a.csv", tmp_path / "run", **given)
    assert metrics["labels"] == ["gr\u00fcn", "r\u00f4ti"]


def test_numbers_are_classes_in_the_order_of_their_values(tmp_path: Path) -> None:
    texts, _ = rows(44)
    labels = [str(n % 11) for n in range(44)]
    metrics = train(write_csv(tmp_path / "a.csv", (texts, labels)), tmp_path / "run")
    assert metrics["labels"] == [str(n) for n in range(11)]


def test_the_split_is_stratified_and_of_the_seed(tmp_path: Path) -> None:
    texts, _ = rows(64)
    labels = ["rare" if n % 8 == 0 else "common" for n in range(64)]
    data = write_csv(tmp_path / "a.csv", (texts, labels))
    metrics = train(data, tmp_path / "run", test_split=0.5, validation=0.5)
    assert [metrics[f"{part}_texts"] for part in ("train", "validation", "test")] == [16, 16, 32]
    assert metrics["test_f1"]["rare"] is not None
    train(data, tmp_path / "again", test_split=0.5, validation=0.5)
    assert weights(tmp_path / "again") == weights(tmp_path / "run")
    train(data, tmp_path / "other", test_split=0.4, validation=0.5)
    assert weights(tmp_path / "other") != weights(tmp_path / "run")


def test_nothing_held_back(tmp_path: Path, topics_csv: Path, capsys) -> None:
    metrics = train(topics_csv, tmp_path / "run", test_split=0, validation=0)
    assert metrics["test_accuracy"] is None
    assert metrics["validation_accuracy"] is None
    assert metrics["train_texts"] == 90
    assert metrics["labels"] == list(TOPICS)
    printed = capsys.readouterr().out
    assert "none to test on" in printed
    assert "test accuracy" not in printed


def test_threads_do_not_change_the_result(tmp_path: Path, topics_csv: Path, three: Path) -> None:
    fl.set_num_threads(3)
    for threads in (1, 2):
        assert train(topics_csv, tmp_path / str(threads), threads=threads)["threads"] == threads
        assert weights(tmp_path / str(threads)) == weights(three)
        assert fl.get_num_threads() == 3  # the option is the run's, not the process's
    assert (
        timeless(read(tmp_path / "1" / "metrics.json")).keys()
        == timeless(read(three / "metrics.json")).keys()
    )


@pytest.mark.parametrize(
    ("texts", "epochs"), [(20, 40), (800, 40), (1600, 20), (9600, 4), (160_000, 3)]
)
def test_epochs_that_make_enough_steps(texts: int, epochs: int) -> None:
    assert TextConfig().sized(texts) == {"batch_size": 32, "epochs": epochs}
    assert TextConfig(epochs=7, batch_size=1).sized(texts) == {"batch_size": 1, "epochs": 7}


def test_epochs_chosen_are_written_down(
    tmp_path: Path, topics_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastlstm.train.classifier.config.STEPS", 20)
    metrics = train(topics_csv, tmp_path / "run", epochs=None)  # 72 texts: 5 steps an epoch
    assert read(tmp_path / "run" / "config.json")["epochs"] == metrics["epochs"] == 4


def test_json_is_one_object_and_the_rest_is_aside(
    tmp_path: Path, topics_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words(topics_csv, tmp_path / "run"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == read(tmp_path / "run" / "metrics.json")
    assert out.count("\n") == 1
    assert "epoch 2/2: loss" in err


def test_quiet(tmp_path: Path, topics_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words(topics_csv, tmp_path / "run"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*words(topics_csv, tmp_path / "other"), "--quiet", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["epochs"] == 2
    assert err == ""


def test_default_folder_has_the_name_of_the_data(
    tmp_path: Path, topics_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = words(topics_csv, tmp_path)
    del line[line.index("--out") : line.index("--out") + 2]
    assert main(line) == 0
    (out,) = (tmp_path / "runs").iterdir()
    assert out.name.startswith("topics-20")


def test_curves_are_drawn(tmp_path: Path, topics_csv: Path, monkeypatch) -> None:
    pytest.importorskip("matplotlib")
    from fastlstm.train.curves import draw_curves

    monkeypatch.setattr("fastlstm.train.classifier.classify.draw_curves", draw_curves)
    train(topics_csv, tmp_path / "run")
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
