"""Labelled texts from tables, JSON lines and folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from fastlstm.text.labelled import LabelledTexts, read_labelled
from fastlstm.text.rows import Reading


def read(path: Path, **how: Any) -> LabelledTexts:
    return read_labelled(path, Reading(**how))


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Write a file and return its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_csv_with_quotes_delimiters_and_line_ends_in_a_field(file: Any) -> None:
    path = file("a.csv", 'id,text,label\n1,"one, ""two""\nthree",pos\n\n2,caf\u00e9,neg\n')
    found = read(path)
    assert found.texts == ['one, "two"\nthree', "caf\u00e9"]
    assert found.labels == ["pos", "neg"]
    assert found.columns == ("text", "label")


def test_what_a_spreadsheet_writes(file: Any) -> None:
    path = file("a.csv", "\ufefftext;label\r\nfine;1\r\nbad;0\r\n")
    found = read(path, delimiter=";")
    assert found.texts == ["fine", "bad"]
    assert found.labels == ["1", "0"]
    utf16 = file("b.tsv", "text\tlabel\r\nfine\t1\r\nbad\t0\r\n".encode("utf-16"))
    assert read(utf16)[:2] == found[:2]


def test_a_large_field_and_the_limit_of_others(file: Any) -> None:
    before = csv.field_size_limit()
    text = "word " * 100_000
    assert read(file("a.csv", f"text,label\n{text},x\nb,y\n")).texts == [text, "b"]
    assert csv.field_size_limit() == before


def test_columns_by_name_and_by_number(file: Any) -> None:
    path = file("a.csv", "a, b ,c\n1,2,3\n")
    assert read(path, text_column="b", label_column="a")[:2] == (["2"], ["1"])
    bare = file("b.csv", "1,2,3\n4,5,6\n")
    found = read(bare, header=False, text_column="3", label_column="1")
    assert found[:2] == (["3", "6"], ["1", "4"])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("Review,Sentiment", ("Review", "Sentiment")),
        ("category,id,TEXT", ("TEXT", "category")),
        ("label,target,text,content", ("text", "label")),
    ],
)
def test_usual_names_are_found(columns: str, expected: tuple[str, str], file: Any) -> None:
    row = ",".join("x" for _ in columns.split(","))
    assert read(file("a.csv", f"{columns}\n{row}\n")).columns == expected


def test_one_may_be_named_and_the_other_found(file: Any) -> None:
    path = file("a.csv", "text,label\nx,y\n")
    assert read(path, text_column="label", label_column="text").texts == ["y"]
    assert read(path, label_column="label").texts == ["x"]
    with pytest.raises(ValueError, match="'text' cannot be both"):
        read(path, label_column="text")


def test_tsv_and_quotes_as_characters(file: Any) -> None:
    path = file("a.tsv", 'label\ttext\nx\t"so much\ny\tsay "no"\n')
    assert read(path, quotes=False).texts == read(path).texts == ['"so much', 'say "no"']


def test_any_name_with_a_delimiter(file: Any) -> None:
    path = file("a.data", "text|label\nx|y\n")
    assert read(path, delimiter="|").texts == ["x"]
    with pytest.raises(ValueError, match=r"a\.data is of no known kind.*delimiter="):
        read(path)


def test_json_lines(file: Any) -> None:
    rows = [
        {"text": "a\nb", "label": "x"}, {"label": 3, "text": "", "more": [1]},
        {"text": "c", "label": 1.5}, {"text": "d", "label": True}, {"text": "e", "label": " y "},
    ]  # fmt: skip
    content = "\n\n".join(json.dumps(row) for row in rows)
    for name in ("a.jsonl", "a.ndjson", "a.JSON"):
        found = read(file(name, content + "\n  \n"))
        assert found.texts == ["a\nb", "", "c", "d", "e"]
        assert found.labels == ["x", "3", "1.5", "true", "y"]


def test_folder_of_classes(tmp_path: Path) -> None:
    for name, content in {
        "b/2.txt": "two",
        "b/10.txt": "ten",
        "a/x.txt": "caf\u00e9\r\nbar",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content.encode("cp1252"))
    (tmp_path / "a" / "notes.md").write_text("not a text")
    (tmp_path / "a" / "._x.txt").write_bytes(b"\0")
    (tmp_path / "README.txt").write_text("no class")
    found = read(tmp_path, encoding="cp1252")
    assert found == (["caf\u00e9\nbar", "ten", "two"], ["a", "b", "b"], None)
    with pytest.raises(ValueError, match=r"x\.txt is not utf-8 text: byte 0xe9 at position 3"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"a\.csv is empty"),
        ("a.csv", "\n\n", r"a\.csv is empty"),
        ("a.csv", "text,label\n", r"a\.csv is empty: it has no texts"),
        ("a.csv", "prose,kind\nx,y\n", "no column that is surely the text; name it with "
         "text_column=: its columns are 'prose', 'kind'"),
        ("a.csv", "text,kind,id\nx,y,1\n", "surely the label; name it with label_column="),
        ("a.csv", "text,text,label\nx,y,z\n", "two columns of the same name: text"),
        ("a.csv", "text,label\nx,y\n\nx,y,z\n", r"line 4 has 3 fields, expected 2 \('text', 'la"),
        ("a.csv", "text,label\nx\n", r"line 2 has 1 field"),
        ("a.csv", "text,label\nx,y\nx, \n", "line 3 has no label"),
        ("a.csv", 'text,label\na,b\n"x,y\nz,w\n', "line 3 is not CSV: unexpected end of data"),
        ("a.csv", b"text,label\n\xe9,y\n", r"a\.csv is not utf-8 text: byte 0xe9 at position 11"),
        ("a.jsonl", "", r"a\.jsonl is empty"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n\n{"text"\n', r"a\.jsonl line 3 is not JSON"),
        ("a.jsonl", '{"text": "x", "label": ' + "9" * 100_000 + "}",
         r"a\.jsonl line 1 is not JSON: a number has 100,000 digits"),
        ("a.jsonl", '{"text": "x", "label": 1e9999999999999999999}',
         r"a\.jsonl line 1 is not JSON: a number is 1e9999999999999999999, expected an exponent"),
        ("a.jsonl", '3\n', "line 1 is 3, expected a JSON object on each line"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n{"text": "x"}\n', "line 2 has no 'label'"),
        ("a.jsonl", '{"text": 5, "label": "y"}\n', "line 1: 'text' is 5, expected text"),
        ("a.jsonl", '{"text": "x", "label": null}\n', "line 1 has no label: it is null"),
        ("a.jsonl", '{"text": "x", "label": []}\n', "line 1: the label is a list, expected text"),
        ("a.xlsx", "PK", r"a\.xlsx is of a kind that is not read: save its texts as CSV"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(name: str, content: str | bytes, message: str, file: Any) -> None:
    with pytest.raises(ValueError, match=message):
        read(file(name, content))


def test_a_named_column_that_is_not_there(file: Any) -> None:
    path = file("a.csv", "text,label\nx,y\n")
    with pytest.raises(ValueError, match="has no column 'body'; its columns are 'text', 'label'"):
        read(path, text_column="body")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone.csv does not exist"):
        read(tmp_path / "gone.csv")
    (tmp_path / "class").mkdir()
    with pytest.raises(ValueError, match="holds no texts: expected a folder for each class"):
        read(tmp_path)


def test_a_folder_too_high_up(tmp_path: Path) -> None:
    (tmp_path / "train" / "class").mkdir(parents=True)
    (tmp_path / "train" / "class" / "1.txt").write_text("a")
    (tmp_path / "test" / "class").mkdir(parents=True)
    (tmp_path / "test" / "class" / "1.txt").write_text("b")
    both = f"{tmp_path / 'test'} or {tmp_path / 'train'}"
    with pytest.raises(ValueError, match=f"did you mean {both}\\?"):
        read(tmp_path)
    assert read(tmp_path / "train").labels == ["class"]
