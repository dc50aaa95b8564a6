"""`fastlstm predict --file`: rows of any kind of file, and results beside them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from topics import rows, train, write_csv, write_json_lines

from fastlstm.cli import main, predict
from fastlstm.train.classifier.class_numbers import numbers_of

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")

DATA = rows(7, seed=9)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run predict and return its lines."""

    def run(*line: object) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert main(["predict", *map(str, line)]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return [json.loads(text) for text in out.splitlines()]

    return run


@pytest.fixture
def table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run predict with --out and return the rows of the table."""

    def run(*line: object, name: str = "out.csv") -> list[list[str]]:
        out = tmp_path / name
        assert main(["predict", *map(str, line), "--out", str(out)]) == 0
        printed = capsys.readouterr()
        assert printed.out == ""
        assert f"are in {out}" in printed.err
        with open(out, newline="", encoding="utf-8") as file:
            return list(csv.reader(file, delimiter="\t" if name.endswith("tsv") else ","))

    return run


def test_every_kind_gives_what_the_texts_give(three: Path, tmp_path: Path, lines: Any) -> None:
    expected = lines(three, *DATA[0])
    table = write_csv(tmp_path / "a.csv", DATA)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
    array = [{"text": text} for text in DATA[0]]
    (tmp_path / "array.json").write_text(json.dumps(array, indent=1))
    (tmp_path / "marked.txt").write_text("".join(f"__label__x {text}\n" for text in DATA[0]))
    (tmp_path / "one.csv").write_text("prose\n" + "\n".join(DATA[0]))
    bare = tmp_path / "bare.csv"
    bare.write_text("".join(f"{n},{text}\n" for n, text in enumerate(DATA[0])))
    for line in (
        [table],
        [tmp_path / "a.csv.gz"],
        [write_json_lines(tmp_path / "a.jsonl", DATA)],
        [tmp_path / "array.json"],
        [tmp_path / "marked.txt"],
        [tmp_path / "one.csv", "--text-column", "prose"],
        [write_csv(tmp_path / "b.csv", DATA, ("x", "y")), "--text-column", "x"],
        [write_csv(tmp_path / "c.dat", DATA, delimiter="|"), "--delimiter", "|"],
        [bare, "--no-header", "--text-column", "2"],
    ):
        assert lines(three, "--file", *line) == expected


def test_the_columns_and_the_header_of_the_run_are_those_of_the_file(
    tmp_path: Path, lines: Any
) -> None:
    texts, labels = rows(60)
    news = tmp_path / "news.csv"
    with open(news, "w", newline="") as file:
        csv.writer(file).writerows((x, "title", t) for t, x in zip(texts, labels, strict=True))
    train(news, tmp_path / "run", header=False, text_column="2,3", label_column="1")
    expected = lines(tmp_path / "run", *(f"title {text}" for text in texts))
    assert lines(tmp_path / "run", "--file", news) == expected


def test_what_tells_no_kind_is_lines(tmp_path: Path, lines: Any) -> None:
    data = write_csv(tmp_path / "a.dat", rows(60), delimiter=";")
    train(data, tmp_path / "run", delimiter=";")
    (tmp_path / "b.txt").write_text("text;label\n{}\n")
    found = lines(tmp_path / "run", "--file", tmp_path / "b.txt")
    assert [line["text"] for line in found] == ["text;label", "{}"]
    asked = lines(tmp_path / "run", "--file", data, "--delimiter", ";")
    assert [line["text"] for line in asked] == rows(60)[0]


def test_the_standard_input_as_rows(
    three: Path, tmp_path: Path, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = lines(three, *DATA[0])
    path = write_json_lines(tmp_path / "a", DATA)
    for given in ([], ["--file", "-"]):
        data = io.BufferedReader(io.BytesIO(path.read_bytes()))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
        assert lines(three, *given, "--format", "json") == expected


def test_results_beside_the_rows(three: Path, tmp_path: Path, lines: Any, table: Any) -> None:
    path = tmp_path / "a.csv"
    content = 'v2,n,,v2,probability\n"a, ""b""\nc",1,,x,p\nsport1,2,,y,\nlast,3,z,,\n'
    path.write_text(content)
    texts = ['a, "b"\nc', "sport1", "last"]
    path.write_text(content.replace("v2", "text", 1))
    expected = [
        [line["label"], str(line["probability"]), str(line["known_words"])]
        for line in lines(three, *texts)
    ]
    header, *found = table(three, "--file", path)
    assert header == [
        "text", "n", "", "v2", "probability", "label", "predicted_probability", "known_words",
    ]  # fmt: skip
    assert [row[:5] for row in found] == [
        [texts[0], "1", "", "x", "p"], [texts[1], "2", "", "y", ""], [texts[2], "3", "z", "", ""],
    ]  # fmt: skip
    assert [row[5:] for row in found] == expected


def test_results_in_other_tables(three: Path, tmp_path: Path, table: Any) -> None:
    path = write_csv(tmp_path / "a.csv", DATA)
    header, *found = table(three, "--file", path, "--probabilities", name="out.tsv")
    classes = ["probability_music", "probability_sport", "probability_weather"]
    assert header == ["text", "label", "predicted_label", "probability", "known_words", *classes]
    assert [tuple(row[:2]) for row in found] == list(zip(*DATA, strict=True))
    assert all(float(row[3]) == max(map(float, row[5:])) for row in found)
    header, *found = table(three, "one text", name="texts.csv")
    assert header == ["text", "label", "probability", "known_words"]
    assert found[0][0] == "one text"
    path.write_text("text,label\n")
    header = ["text", "label", "predicted_label", "probability", "known_words", *classes]
    assert table(three, "--file", path, "--probabilities", name="none.tsv") == [header]


def test_results_as_json_lines(three: Path, tmp_path: Path, lines: Any) -> None:
    objects = [
        {"text": "a", "id": 2.50, "label": None},
        {"text": "b\ud800", "more": {"x": [1.5]}, "id": 1},
    ]  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, objects)))
    out = tmp_path / "out.jsonl"
    assert main(["predict", str(three), "--file", str(path), "--out", str(out)]) == 0
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    for row, given in zip(found, objects, strict=True):
        assert {name: row[name] for name in given} == given
    expected = [line["label"] for line in lines(three, "a", "b")]
    assert [row["predicted_label"] for row in found] == expected


def test_a_key_that_comes_late_is_not_lost_in_a_table(
    three: Path, tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "CHUNK", 1)
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"text": "b", "late": 1}\n')
    told = fails("predict", three, "--file", path, "--out", tmp_path / "out.csv")
    assert "line 2 has 'late', for which the first row has no column; --out FILE.jsonl" in told
    assert not (tmp_path / "out.csv").exists()


def test_what_is_there_is_not_replaced_unless_asked(
    three: Path, tmp_path: Path, fails: Any, table: Any
) -> None:
    (tmp_path / "out.csv").write_text("mine")
    told = fails("predict", three, "a", "--out", tmp_path / "out.csv")
    assert "out.csv is there already; give another --out, or --overwrite" in told
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert table(three, "a", "--overwrite")[1][0] == "a"


def test_wrong_use(three: Path, tmp_path: Path, fails: Any, misused: Any) -> None:
    assert "--out is a.xlsx, expected a name that ends in .csv, .tsv, .jsonl" in misused(
        "predict", three, "a", "--out", "a.xlsx"
    )
    assert "there is no folder" in fails("predict", three, "a", "--out", tmp_path / "no" / "a.csv")
    assert "--delimiter is 'ab'" in misused("predict", three, "a", "--delimiter", "ab")


def test_files_without_the_text(three: Path, tmp_path: Path, fails: Any) -> None:
    named = write_csv(tmp_path / "a.csv", DATA, ("prose", "label"))
    told = fails("predict", three, "--file", named)
    assert "no column 'text'; its columns are 'prose', 'label': name one with --text-column" in told
    bare = write_csv(tmp_path / "c.csv", DATA[::-1], (DATA[1][0], DATA[0][0]))
    told = fails("predict", three, "--file", bare)
    assert told.endswith(": --no-header --text-column 2")  # labels are not asked for here
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": 5}\n')
    assert "line 1: 'text' is 5, expected text" in fails("predict", three, "--file", path)
    (tmp_path / "b.csv").write_text("")
    assert "b.csv is empty" in fails("predict", three, "--file", tmp_path / "b.csv")


def test_classes_of_earlier_runs_are_the_same_numbers() -> None:
    assert numbers_of(["1", "true", "0"], ["0.0", "1.0", "True"], "it") == [1, 2, 0]
    assert numbers_of(["1.0", "1"], ["1", "1.0"], "it") == [1, 0]


def test_a_run_of_a_version_without_formats_is_read(
    three: Path, tmp_path: Path, lines: Any
) -> None:
    run = Path(shutil.copytree(three, tmp_path / "run"))
    config = json.loads((run / "config.json").read_text())
    del config["format"]
    (run / "config.json").write_text(json.dumps(config))
    assert lines(run, "a") == lines(three, "a")
