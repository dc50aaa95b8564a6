"""JSON arrays and objects from a text in pieces: as from the whole text, and not all held."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastlstm.text import json_text
from fastlstm.text.json_rows import json_rows

OBJECTS = [
    {"text": 'a "quote" \\ and \u00e9 \U0001f600 \ud800', "n": -12.5, "flag": False, "none": None},
    {"text": "", "more": {"x": [1, 2, [3]], "y": {}}, "n": 10**30},
    {"text": "a long one " * 30, "n": 1e-7, "flag": True},
    {},
]
TEXTS = [
    json.dumps(OBJECTS),
    json.dumps(OBJECTS, indent=2, ensure_ascii=False),
    "\n \t" + json.dumps(OBJECTS, separators=(",", ":")) + "\n\n",
    "\n".join(json.dumps(one, indent=1) for one in OBJECTS[:3]),
]
DAMAGED = [
    '[{"a": 1},\n {"a": 2} {"a": 3}]', '[{"a": 1},\n {"a" 2}]', '[{"a": 1},\n', "[", "[{},]",
    '[{"a', '[{"a": tru}]', '[{"a": 1}]\n\n [{}]', '{\n"a": 1\n', '[{"a": "\\u12x4"}]',
    '[{"a": "\t"}]',
    '[{"a": 1e999999999999999999999}]', "[1, {}]", '[{"a":\n' + "[" * 3000,
]  # fmt: skip


def cut(text: str, rng: random.Random) -> Iterator[str]:
    """The text in pieces, some of which are empty."""
    at = 0
    while at < len(text):
        size = rng.choice((0, 1, 2, 3, 7, 50))
        yield text[at : at + size]
        at += size


def read(pieces: Iterator[str]) -> tuple[list[dict[str, Any]], str]:
    """The objects, and the error after them."""
    found: list[dict[str, Any]] = []
    try:
        rows = json_rows(Path("a.json"), pieces)
        for _, values in rows.rows:
            found.append(dict(zip(rows.columns, values, strict=False)))
    except ValueError as error:
        return found, str(error)
    return found, ""


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_pieces_are_as_the_whole(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text, rng = TEXTS[number], random.Random(number)
    found, error = read(iter([text]))
    assert error == ""
    assert [one["text"] for one in found[:3]] == [one["text"] for one in OBJECTS[:3]]
    assert float(found[0]["n"]) == -12.5
    assert found[1]["n"] == 10**30
    monkeypatch.setattr(json_text, "MOST_HELD", 16)
    for _ in range(40):
        assert read(cut(text, rng)) == (found, "")


@pytest.mark.parametrize("text", DAMAGED)
def test_the_place_of_an_error_is_that_in_the_whole(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, before = random.Random(0), '{"b": [0, "\\n"]},\n'
    monkeypatch.setattr(json_text, "MOST_HELD", 16)
    for whole in (text, text.replace("[", "[" + before * 9, 1) if text[0] == "[" else text):
        found, error = read(iter([whole]))
        assert "a.json" in error
        for _ in range(15):
            assert read(cut(whole, rng)) == (found, error)
        place = json_place(whole)
        if whole.endswith(",]"):  # newer Pythons name the comma, others what stands behind it
            assert "Expecting value" in error
            assert f"(char {len(whole) - 1})" in error
        elif " is not JSON" in error and place is not None and "deep" not in error:
            assert place in error


def json_place(text: str) -> str | None:
    """Where the json module sees the error, if it sees one."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return str(error).partition(": ")[2]
    except RecursionError:
        pass
    return None


def test_only_a_part_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    one = json.dumps(OBJECTS[0])
    most = 0

    def pieces() -> Iterator[str]:
        yield "["
        for _ in range(3000):
            yield one + ",\n"
        yield "{}]"

    rows = json_rows(Path("a.json"), pieces())
    held = json_text.JsonText._more

    def more(self: json_text.JsonText) -> bool:
        nonlocal most
        most = max(most, len(self._text))
        return held(self)

    monkeypatch.setattr(json_text.JsonText, "_more", more)
    assert sum(1 for _ in rows.rows) == 3001
    assert most < 4 * json_text.MOST_HELD < 3000 * len(one)
