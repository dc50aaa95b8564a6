"""Records of tables: quotes as files have them."""

from __future__ import annotations

import csv
import io
import random

import pytest

from fastlstm.text.records import read_records


def records(text: str, delimiter: str = ",", quotes: bool = True) -> list[tuple[int, list[str]]]:
    return list(read_records(iter(io.StringIO(text)), "it", delimiter, quotes))


def fields(text: str, delimiter: str = ",", quotes: bool = True) -> list[list[str]]:
    return [row for _, row in records(text, delimiter, quotes)]


def test_lines_that_a_record_begins_on() -> None:
    assert records('a,b\n\n"c\nd",e\nf,g') == [
        (1, ["a", "b"]), (3, ["c\nd", "e"]), (5, ["f", "g"]),
    ]  # fmt: skip


def test_a_quote_at_the_start_of_a_field_of_a_tab_file_takes_no_lines_in() -> None:
    text = 'pos\tgood film\nneg\t"it was bad\npos\tgood cast\nneg\tbad plot"\n'
    assert records(text, "\t") == [
        (1, ["pos", "good film"]), (2, ["neg", '"it was bad']),
        (3, ["pos", "good cast"]), (4, ["neg", 'bad plot"']),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('ham\t"Gimme a few" was lol', ["ham", '"Gimme a few" was lol']),
        ('ham\t"all in quotes"', ["ham", "all in quotes"]),
        ('ham\t"a ""word"" in it"', ["ham", 'a "word" in it']),
        ('ham\t"a\ttab"', ["ham", "a\ttab"]),
        ('ham\tsay "no"', ["ham", 'say "no"']),
        ('"it was bad\tneg', ['"it was bad', "neg"]),
        ('"', ['"']),
        ('\t"', ["", '"']),
    ],
)
def test_quotes_of_a_tab_file(line: str, expected: list[str]) -> None:
    assert fields(f"{line}\nx\ty\n", "\t") == [expected, ["x", "y"]]
    assert fields(f"x\ty\n{line}", "\t") == [["x", "y"], expected]


def test_a_quoted_field_of_a_tab_file_may_span_lines() -> None:
    text = 'a\t"one\ntwo ""2""\n\nthree"\tb\nc\td\te\n'
    assert records(text, "\t") == [(1, ["a", 'one\ntwo "2"\n\nthree', "b"]), (5, ["c", "d", "e"])]


def test_many_open_quotes_in_a_tab_file_are_read_once_each() -> None:
    given = []

    def lines() -> object:
        for number in range(2000):
            given.append(number)
            yield f'x\t"{number}\n'

    found = list(read_records(lines(), "it", "\t", True))
    assert [row for _, row in found] == [["x", f'"{n}'] for n in range(2000)]
    assert given == list(range(2000))


def test_what_a_standard_writer_wrote_comes_back() -> None:
    rng = random.Random(0)
    for delimiter in ",;\t|":
        for _ in range(200):
            letters = 'ab"\n ' + ("" if delimiter == "\t" else delimiter + "\\")
            rows = [
                ["".join(rng.choices(letters, k=rng.randrange(6))) + "." for _ in range(3)]
                for _ in range(4)
            ]
            file = io.StringIO(newline="")
            csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
            assert fields(file.getvalue(), delimiter) == rows


def test_backslashes_before_quotes() -> None:
    text = 'pos,"He said \\"no\\", again"\nneg,"a \\\\ b \\""\npos,"c:\\new"\n'
    assert fields(text) == [
        ["pos", 'He said "no", again'], ["neg", 'a \\ b "'], ["pos", "c:\\new"],
    ]  # fmt: skip


def test_a_backslash_at_the_end_of_a_standard_field_is_a_backslash() -> None:
    assert fields('"c:\\","x"\n"d","y"\n') == [["c:\\", "x"], ["d", "y"]]


def test_no_quotes() -> None:
    assert fields('a,"b\nc,d"\n', quotes=False) == [["a", '"b'], ["c", 'd"']]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b\n"x,y\nz,w\n', "it line 2 is not CSV: unexpected end of data; quotes=False"),
        ('a,b\nc,"x" y\n', "it line 2 is not CSV: .*expected after.*quotes=False"),
        ('a,b\nc,"x \\" y\n', "it line 2 is not CSV"),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        records(text)
