"""Files of every kind, as public data sets have them, read as labelled texts."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastlstm.text.labelled import LabelledTexts, QuotedRowsWarning, read_labelled
from fastlstm.text.parquet import parquet_rows, values_of
from fastlstm.text.row_kinds import read_rows
from fastlstm.text.rows import FileRows, Reading
from fastlstm.text.which_columns import find_columns

ROWS = [("pos", "good film, really"), ("neg", 'so "bad"')]
OBJECTS = [{"text": text, "label": label} for label, text in ROWS]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Write a file and read it."""

    def write_and_read(name: str, content: str | bytes, **how: Any) -> LabelledTexts:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_labelled(path, Reading(**how))

    return write_and_read


def pairs(found: LabelledTexts) -> list[tuple[str, str]]:
    return list(zip(found.labels, found.texts, strict=True))


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(OBJECTS),
        json.dumps(OBJECTS, indent=2),
        "\n \n" + json.dumps(OBJECTS, indent="\t") + "\n\n",
        "\n".join(map(json.dumps, OBJECTS)),
        "\n".join(json.dumps(value, indent=4) for value in OBJECTS),
    ],
)
def test_json_written_in_any_way(content: str, read: Any) -> None:
    for name in ("a.json", "a.jsonl", "DATA"):
        assert pairs(read(name, content)) == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a", "label": 1}, {"text": "b"}]', r"a\.json object 2 has no 'label'; it has"),
        ('[{"text": "a", "label": 1}, 3]', r"a\.json object 2 is 3, expected a JSON object on"),
        ('[{"text": "a",\n "label" 1}]', r"a\.json is not JSON: .*line 2 column 10"),
        ("[" * 100_000, "is not JSON"),
        ('{"text": "a", "label": ' + "[" * 100_000, r"a\.json line 1 is not JSON"),
        ("[]", r"a\.json is empty"),
        ('{"data": [{"text": "a", "label": 1}]}', "no column that is surely the text"),
        ('{"text": {"0": "a"}, "label": {"0": 1}}', "'text' is .* expected text"),
    ],
)
def test_json_that_cannot_be_used(content: str, message: str, read: Any) -> None:
    with pytest.raises(ValueError, match=message):
        read("a.json", content)


def test_numbers_as_labels_are_one_class_in_every_kind(read: Any) -> None:
    lines = '{"text": "a", "label": 1}\n{"text": "b", "label": 1.0}\n{"text": "c", "label": "1"}\n'
    assert read("a.jsonl", lines).labels == ["1"] * 3
    big = '{"text": "a", "label": 9007199254740993.0}\n{"text": "b", "label": 9007199254740992}\n'
    assert read("a.jsonl", big).labels == ["9007199254740993", "9007199254740992"]
    assert read("a.csv", "text,label\na,1\nb,1.0\nc,01\nd,True\ne,true\n").labels == [
        "1", "1", "01", "true", "true",
    ]  # fmt: skip
    assert read("a.txt", "__label__1 a\n__label__1.0 b\n").labels == ["1", "1"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\na,x\nb,nan\n", "line 3 has no label: it is \"nan\""),
        ("a.csv", "text,label\n" + "a,\n" * 9 + "b,x\n", r"line 2 has no label: it is \"\"; so "
         r"have lines 3, 4, 5, 6, \.\.\. \(9 in all\)"),
        ("a.jsonl", '{"text": "a", "label": NaN}\n', "line 1 has no label: it is NaN"),
        ("a.jsonl", '{"text": "a", "label": null}\n', "line 1 has no label: it is null"),
        ("a.json", '[{"text": "a", "label": Infinity}]', "object 1 has no label: it is Infinity"),
        ("a.jsonl", '{"text": "a", "label": "\\ud800"}\n', "line 1: the label is .*half a char"),
    ],
)  # fmt: skip
def test_missing_labels(name: str, content: str, message: str, read: Any) -> None:
    with pytest.raises(ValueError, match=message):
        read(name, content)


def test_spam_csv(read: Any) -> None:
    content = (
        'v1,v2,,,\nham,"Go until jurong point, crazy..",,,\nspam,Free entry,,,\nham,caf\xe9,,"x",'
    )
    for how in (
        {"text_column": "v2"},
        {"label_column": "v1"},
        {"text_column": "v2", "label_column": "v1"},
    ):
        found = read("spam.csv", content.encode("latin-1"), encoding="latin-1", **how)
        assert found.columns == ("v2", "v1")
        assert found.labels == ["ham", "spam", "ham"]
        assert found.texts[::2] == ["Go until jurong point, crazy..", "caf\xe9"]
    with pytest.raises(ValueError, match="surely the text.*columns are 'v1', 'v2'[^,]"):
        read("spam.csv", content.encode("latin-1"), encoding="latin-1")


def test_only_wanted_columns_matter(read: Any) -> None:
    content = "id,text,id,label,,\n1,a,2,x,,\n3,b,4,y\n5,c,6,x,,z\n"
    assert pairs(read("a.csv", content)) == [("x", "a"), ("y", "b"), ("x", "c")]
    with pytest.raises(ValueError, match="two columns of the same name: id"):
        read("a.csv", content, label_column="id")
    with pytest.raises(ValueError, match="line 2 has 7 fields, expected 6"):
        read("a.csv", "id,text,id,label,,\n1,a,2,x,,,z\n")
    with pytest.raises(ValueError, match="line 2 has 3 fields, expected 6"):
        read("a.csv", "id,text,id,label,,\n1,a,2\n")


def test_the_sms_collection(read: Any) -> None:
    content = 'ham\tGo until jurong point\nspam\tFree entry\nham\t"Gimme a few" was lol\n'
    with pytest.raises(ValueError, match="no header") as caught:
        read("SMSSpamCollection", content)
    assert (
        "first row is 'ham', 'Go until jurong point': header=False text_column=2 label_column=1"
        in str(caught.value)
    )
    how = {"header": False, "text_column": "2"}
    assert pairs(read("SMSSpamCollection", content, **how)) == [
        ("ham", "Go until jurong point"), ("spam", "Free entry"), ("ham", '"Gimme a few" was lol'),
    ]  # fmt: skip


def test_news_without_a_header(read: Any) -> None:
    content = (
        '"3","Wall St. Bears","Short-sellers are seeing green"\n'
        '"4","A title","A text"\n"3","B","C, d"\n'
    )
    with pytest.raises(ValueError, match="header=False text_column=3 label_column=1"):
        read("train.csv", content)
    with pytest.raises(ValueError, match="no column '2,3'.*|no column '2'.*header=False"):
        read("train.csv", content, text_column="2,3")
    with pytest.raises(ValueError, match="are '1', '2', '3', such as text_column=3 label_col"):
        read("train.csv", content, header=False)
    found = read("train.csv", content, header=False, text_column="2,3", label_column="1")
    assert found.columns == ("2,3", "1")
    assert found.labels == ["3", "4", "3"]
    assert found.texts[0] == "Wall St. Bears Short-sellers are seeing green"


def test_a_header_that_may_be_none(read: Any) -> None:
    with pytest.raises(ValueError, match="first row is no header, give header=False"):
        read("a.csv", "what,which,who\na,b,c\nd,e,f\n")


def test_rows_that_a_quote_took_in_are_told(read: Any) -> None:
    content = 'label,text\npos,good film\nneg,"it was bad\npos,good cast\nneg,bad plot"\n'
    with pytest.warns(QuotedRowsWarning, match=r"line 3: .* \(1 such texts\); .*quotes=False"):
        assert len(read("a.csv", content).texts) == 2
    assert pairs(read("a.csv", content, quotes=False))[1:3] == [
        ("neg", '"it was bad'), ("pos", "good cast"),
    ]  # fmt: skip
    kept = read("a.csv", 'label,text\nneg,"a letter:\nDear all, hello,\nbye, me"\npos,x\n')
    assert kept.texts[0] == "a letter:\nDear all, hello,\nbye, me"


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_delimiter_is_found(delimiter: str, read: Any) -> None:
    content = f'text{delimiter}label\na, b{delimiter}x\n"c{delimiter} d"{delimiter}y\n'
    expected = [("x", "a, b"), ("y", f"c{delimiter} d")]
    assert pairs(read("a.csv", content)) == expected
    assert pairs(read("a.csv.gz", gzip.compress(content.encode()))) == expected


def test_a_comma_is_found_in_a_tab_file(read: Any) -> None:
    assert pairs(read("a.tsv", "text,label\na\tb,x\n")) == [("x", "a\tb")]


def test_several_columns_of_text(read: Any) -> None:
    lines = [
        {"title": "A", "body": "b", "class": 1}, {"title": None, "body": "c", "class": 2},
        {"body": "d", "class": 1},
    ]  # fmt: skip
    found = read("a.jsonl", "\n".join(map(json.dumps, lines)), text_column="title, body")
    assert pairs(found) == [("1", "A b"), ("2", "c"), ("1", "d")]
    assert found.columns == ("title,body", "class")
    one = read("a.csv", '"a,b",label\nx,1\n', text_column="a,b")
    assert one.texts == ["x"]
    with pytest.raises(ValueError, match="'class' cannot be both"):
        read("a.jsonl", json.dumps(lines[0]), text_column="title,class")
    with pytest.raises(ValueError, match="line 1: 'title' is null, expected text"):
        read("a.jsonl", '{"title": null, "body": null, "class": 1}', text_column="title,body")


def test_fasttext_lines(read: Any) -> None:
    content = (
        "__label__sauce How much does potato starch\n\n__label__bread-1  Dangerous \n__label__x\n"
    )
    for name in ("cooking.txt", "cooking.train", "a.txt.gz"):
        data = gzip.compress(content.encode()) if name.endswith("gz") else content
        found = read(name, data)
        assert pairs(found) == [
            ("sauce", "How much does potato starch"), ("bread-1", "Dangerous"), ("x", ""),
        ]  # fmt: skip
        assert found.columns is None
        assert read(name, data, text_column="review", label_column="stars") == found


def test_fasttext_lines_that_cannot_be_used(read: Any) -> None:
    with pytest.raises(ValueError, match="line 2 has more than one label.*sed -E"):
        read("a.txt", "__label__a x\n__label__a __label__b y\n")
    with pytest.raises(ValueError, match="line 2 begins with 'none', expected __label__"):
        read("a.txt", "__label__a x\nnone y\n")


def test_lines_of_label_and_text(read: Any) -> None:
    content = "DESC:manner How did serfdom develop ?\nENTY:cremat What films\n"
    with pytest.raises(ValueError, match="'DESC:manner How did serfdom de' may be, give format=l"):
        read("train_5500.label", content)
    assert pairs(read("train_5500.label", content, format="lines")) == [
        ("DESC:manner", "How did serfdom develop ?"), ("ENTY:cremat", "What films"),
    ]  # fmt: skip


def test_a_format_for_a_name_that_tells_none(read: Any) -> None:
    assert pairs(read("a.dat", json.dumps(OBJECTS), format="json")) == ROWS
    assert pairs(read("a.dat", "text,label\na,x\n", format="table")) == [("x", "a")]
    assert pairs(read("a.csv", "text,label\na,x\n", format="lines")) == [("x", "a")]


def test_amazon_reviews(read: Any) -> None:
    lines = [{"reviewText": "great", "overall": 5.0}, {"overall": 1, "reviewText": "poor"}]
    data = gzip.compress("\n".join(map(json.dumps, lines)).encode())
    assert pairs(read("reviews_Books_5.json.gz", data)) == [("5", "great"), ("1", "poor")]


def test_rt_polarity(tmp_path: Path) -> None:
    (tmp_path / "rt-polarity.pos").write_bytes("caf\u00e9 \n\nfine\n".encode("cp1252"))
    (tmp_path / "rt-polarity.neg").write_bytes(b"dull .\n")
    (tmp_path / ".rt-polarity.neg").write_bytes(b"\0\0")
    found = read_labelled(tmp_path, Reading(encoding="cp1252"))
    assert found == (["dull .", "caf\u00e9", "fine"], ["neg", "pos", "pos"], None)
    with pytest.raises(ValueError, match="give its encoding"):
        read_labelled(tmp_path)


def test_class_files_a_folder_deeper(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.pos").write_text("x")
    with pytest.raises(ValueError, match=f"end in .pos and .neg; did you mean {tmp_path / 'data'}"):
        read_labelled(tmp_path)


def test_folders_of_numbers_are_classes_like_others(tmp_path: Path) -> None:
    for name in ("1.0", "nan", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text("x")
    assert read_labelled(tmp_path).labels == ["1", "b", "nan"]


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    columns = {"text": [text for _, text in ROWS] * 5000, "stars": [1, 5] * 5000}
    parquet.write_table(pyarrow.table(columns), path)
    found = read_labelled(path)
    assert found.texts == columns["text"]
    assert found.labels == ["1", "5"] * 5000
    parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": [1.0, None]}), path)
    with pytest.raises(ValueError, match="row 2 has no label: it is null"):
        read_labelled(path)
    data = path.read_bytes()
    for damaged in (data[:-20], data[:4] + bytes(60) + data[64:], b"", b"text,label"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            read_labelled(path)


def test_times_beyond_those_of_python_are_texts(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    for unit, second in (("us", 10**6), ("ms", 10**3)):
        times = pyarrow.array([0, 4_000_000 * 86_400 * second, None])
        days = times.cast(pyarrow.timestamp(unit))
        columns = {"text": ["a", "b", "c"], "label": ["x", "y", "x"], "when": days}
        parquet.write_table(pyarrow.table(columns), path)
        assert read_labelled(path).labels == ["x", "y", "x"]
        when = [values[2] for _, values in parquet_rows(path).rows]
        late = "12921-08-18 00:00:00." + "0" * len(str(second - 1))
        assert when == [datetime(1970, 1, 1), late, None]


def test_times_inside_others_and_of_unknown_zones_are_texts(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    days = pa.array([10**7, 0], pa.date32())
    late, first = "29349-01-26", date(1970, 1, 1)
    ends = pa.array([0, 1, 2], pa.int32())
    structs = pa.StructArray.from_arrays([days, pa.array([1, 2])], ["day", "n"])
    nowhere = pa.array([10**15, 0], pa.timestamp("us", tz="Nowhere/X"))
    one, two = {"day": late, "n": 1}, {"day": first, "n": 2}
    columns = {
        "list": (pa.ListArray.from_arrays(ends, days), [late], [first]),
        "struct": (structs, one, two),
        "structs": (pa.ListArray.from_arrays(ends, structs), [one], [two]),
        "map": (pa.MapArray.from_arrays(ends, ["a", "b"], days), [("a", late)], [("b", first)]),
        "zone": (nowhere, "2001-09-09 01:46:40.000000Z", "1970-01-01 00:00:00.000000Z"),
        "long": (pa.array([2**60, 5], pa.duration("s")), str(2**60), timedelta(seconds=5)),
    }  # fmt: skip
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({name: column for name, (column, *_) in columns.items()}), path)
    found = [dict(zip(columns, values, strict=True)) for _, values in parquet_rows(path).rows]
    assert found[0] == {name: one for name, (_, one, _) in columns.items()}
    assert found[1] == {name: other for name, (_, _, other) in columns.items()}


class Scalar:
    """What Arrow has of a value: one of Python, if there is any, and a text."""

    type = SimpleNamespace(tz=None)

    def __init__(self, text: str) -> None:
        self.text = text

    def as_py(self) -> Any:
        if len(self.text) > 4:
            raise OverflowError("date value out of range")
        return int(self.text)

    def cast(self, kind: str) -> Any:
        assert kind == "string"
        return SimpleNamespace(as_py=lambda: self.text)


class Column(list[Scalar]):
    def to_pylist(self) -> list[Any]:
        return [one.as_py() for one in self]


def test_only_what_python_has_no_value_for_is_a_text() -> None:
    assert values_of(Column(map(Scalar, ["1970", "2024"]))) == [1970, 2024]
    assert values_of(Column(map(Scalar, ["1970", "12921"]))) == [1970, "12921"]


def test_lines_are_no_parquet() -> None:
    with pytest.raises(ValueError, match="standard input has lines of text, no Parquet: name the"):
        read_rows(Path("the standard input"), Reading(format="parquet"), lines=iter(["PAR1"]))


def test_parquet_without_pyarrow(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'needs pyarrow.*pip install "fastlstm\[parquet\]"'):
        read("a.parquet", b"PAR1")


def test_many_columns(read: Any) -> None:
    content = ",".join(f"c{n}" for n in range(100_000)) + "\n" + "x" + "," * 99_999 + "y\n"
    with pytest.raises(ValueError, match=r"the text.*'c0', .*\(100,000 in all\)") as caught:
        read("a.csv", content)
    assert len(str(caught.value)) < 2000
    found = read("a.csv", content, text_column="c0", label_column="c99999")
    assert pairs(found) == [("y", "x")]


def test_names_of_columns_are_looked_at_a_few_times_each(read: Any) -> None:
    """What took minutes: each name was compared with every other."""
    looked_at = 0

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal looked_at
            looked_at += 1
            return str.__eq__(self, other)

    columns = [Name(f"c{n}") for n in range(1000)]
    rows = FileRows(Path("a.csv"), [*columns, "text", "label"], iter([]), header=True)
    assert find_columns(rows, Reading()).names == ("text", "label")
    assert looked_at < 10 * len(columns)
