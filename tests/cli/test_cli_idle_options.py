"""Options that do nothing beside others: `fastlstm train` and `train_imdb` refuse them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from topics import read, rows, write_csv, write_folder, write_json_lines

from fastlstm import train_imdb
from fastlstm.cli import main
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.idle_options import OF_NETS, idle_options
from fastlstm.train.classifier.text_config import TextConfig

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")

# Values that are those of no default, and are right ones.
VALUES: dict[str, Any] = {
    "bidirectional": True, "unlabelled": True, "optimizer": "sgd", "schedule": "cosine",
    "cell": "gru", "dtype": "float64", "precision": "bfloat16", "truncate": "first",
    "pooling": "max", "vocab_size": 99,
    **dict.fromkeys(("dropout", "embedding_dropout", "word_dropout", "warmup", "average",
                     "weight_decay", "momentum"), 0.2),
}  # fmt: skip
WITHOUT_NET = {
    "data",
    "parts",
    "marks",
    "analyzer",
    "validation",
    "seed",
    "threads",
}  # and what is an error
OF_MORE_TEXTS = {"unlabelled", "teachers"}
ERRORS = {"pretrain", "vectors", "freeze_vectors", "from_run"}


def asked(name: str) -> list[str]:
    value = VALUES.get(name, 2)
    flag = "--" + name.replace("_", "-")
    return [flag] if value is True else [flag, str(value)]


def test_every_option_is_of_a_net_or_used_without_one() -> None:
    assert {item.name for item in fields(Config)} == OF_NETS | WITHOUT_NET | ERRORS


@pytest.mark.parametrize("name", sorted(OF_NETS))
def test_those_of_a_net_are_refused_without_one(
    name: str, topics_csv: Path, misused: Callable[..., str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    flag, *_ = option = asked(name)
    why = f"error: {flag} does nothing here: a linear part alone has no net; leave it out"
    line = ["--out", tmp_path / "run", "--parts", "linear", *option]
    file = ["more.txt"] if name == "unlabelled" else []  # of IMDB it is a flag
    assert why in misused("train", topics_csv, *line, *file)
    with pytest.raises(SystemExit) as status:
        train_imdb.main([*map(str, line), "--data", "sample"])
    assert status.value.code == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_all_of_them_are_named(topics_csv: Path, misused: Callable[..., str]) -> None:
    line = ["train", topics_csv, "--parts", "linear", "--lr", 0.1, "--epochs", 3, "--cell", "gru"]
    assert "--lr, --epochs, --cell do nothing here: " in misused(*line).replace(
        "--cell, --lr, --epochs", "--lr, --epochs, --cell"
    )


def test_that_there_is_none_of_something_is_so(topics_csv: Path, tmp_path: Path) -> None:
    none = ["--dropout", "0", "--no-bidirectional", "--bigrams", "0", "--teachers", "0"]
    line = ["train", str(topics_csv), "--out", str(tmp_path / "run"), "--parts", "linear", *none]
    assert main(line) == 0


IDLE = [
    ("--parts net --marks", "--marks does nothing here: only a linear part reads them"),
    ("--teachers 3", "--teachers does nothing here: there is no pretraining without --pretrain"),
    ("--pretrain --teachers 3", "--teachers does nothing here: they are for texts without a"),
    ("--pretrain-epochs 2", "does nothing here: there is no pretraining without --pretrain;"),
    ("--momentum 0.8", "--momentum does nothing here: only the optimizer sgd has one"),
    ("--optimizer adamw --momentum 0.8", "--momentum does nothing here"),
    ("--max-length 0 --truncate first", "--truncate does nothing here: no text is cut without"),
    ("--vectors v.txt --embedding-std 0.2", "--embedding-std does nothing here: words without"),
]


@pytest.mark.parametrize(("options", "message"), IDLE)
def test_other_options_that_do_nothing(
    options: str, message: str, topics_csv: Path, misused: Callable[..., str]
) -> None:
    assert message in misused("train", topics_csv, *options.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--teachers 3", "--teachers does nothing here: there is no pretraining without --pret"),
        ("--unlabelled", "--unlabelled does nothing here: there is no pretraining without --pret"),
        ("--pretrain --no-unlabelled --teachers 3", "--teachers does nothing here: they are for"),
        ("--pretrain-epochs 2 --teachers 1", "--pretrain-epochs, --teachers do nothing here"),
        ("--momentum 0.8", "--momentum does nothing here"),
        ("--max-length 0 --truncate ends", "--truncate does nothing here"),
        ("--compare --momentum 0.8", "--momentum does nothing here"),
        ("--compare --max-length 0 --truncate ends", "--truncate does nothing here"),
    ],
)
def test_options_of_train_imdb_that_do_nothing(
    options: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as status:
        train_imdb.main(["--data", "sample", "--out", str(tmp_path / "run"), *options.split()])
    assert status.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_options_of_files_that_the_texts_are_not_in(
    topics_csv: Path, tmp_path: Path, misused: Callable[..., str]
) -> None:
    data = rows(30)
    folder, lines = write_folder(tmp_path / "folder", data), tmp_path / "topics.txt"
    lines.write_text("\n".join(f"{label} {text}" for text, label in zip(*data, strict=True)))
    objects = write_json_lines(tmp_path / "topics.jsonl", data)
    columns, table = "the texts are in no file with columns", "the texts are in no table"
    for path, option, why in (
        (folder, ["--text-column", "text"], columns),
        (folder, ["--no-header"], table),
        (folder, ["--format", "json"], "it is for files whose name does not tell their kind"),
        (lines, ["--format", "lines", "--label-column", "label"], columns),
        (lines, ["--format", "lines", "--delimiter", "tab"], table),
        (objects, ["--delimiter", ";"], table),
        (objects, ["--no-quotes"], table),
        (objects, ["--format", "table"], "it is for files whose name does not tell their kind"),
        (topics_csv, ["--format", "lines"], "it is for files whose name does not tell their kind"),
        (tmp_path / "a.parquet", ["--encoding", "cp1252"], "a Parquet file has its own"),
    ):
        flag = [word for word in option if word.startswith("--")][-1].replace("--no-", "--")
        told = misused("train", path, *option)
        assert f"{flag} does nothing here: {why}; leave it out" in told


def test_options_of_one_of_two_files_are_used(topics_csv: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", rows(30))
    line = ["train", str(folder), "--test", str(topics_csv), "--text-column", "text", "--delimiter",
            ",", "--parts", "linear", "--out", str(tmp_path / "run")]  # fmt: skip
    assert main(line) == 0
    table = write_csv(tmp_path / "table.txt", rows(30), delimiter=";")
    line = ["train", str(table), "--delimiter", ";", "--encoding", "utf-8", "--parts", "linear",
            "--out", str(tmp_path / "other"), "--text-column", "text"]  # fmt: skip
    assert main(line) == 0
    assert read(tmp_path / "other" / "metrics.json")["test_accuracy"] > 0
    tabs = write_csv(tmp_path / "tabs.txt", rows(30), delimiter="\t")  # its first line tells it
    line = ["train", str(tabs), "--no-header", "--text-column", "1", "--label-column", "2",
            "--parts", "linear", "--out", str(tmp_path / "tabs"), "--validation", "0",
            "--test-split", "0"]  # fmt: skip
    assert main(line) == 0


def test_options_that_are_used_are_not_idle() -> None:
    given: dict[str, Any] = {name: VALUES.get(name, 2) for name in OF_NETS - OF_MORE_TEXTS}
    given |= {"pretrain": True, "dtype": "float32"}
    own: dict[str, Any] = {"teachers": 2, "unlabelled": True}
    assert not list(idle_options(Config(**given, **own), {**given, **own}))
    own["unlabelled"] = ("more.txt",)
    assert not list(idle_options(TextConfig(**given, **own), {**given, **own}))
    reading = {"data": "a.csv", "delimiter": ";", "header": False, "quotes": False,
               "encoding": "cp1252", "text_column": "a", "label_column": "b"}  # fmt: skip
    assert not list(idle_options(TextConfig(**given, **reading), {**given, **reading}))
