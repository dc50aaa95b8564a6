"""The columns of the text and the label: those that the user names, or those of usual names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastlstm.text.header import header_hint
from fastlstm.text.json_rows import shown
from fastlstm.text.rows import ABSENT, LONGEST, FileRows, Reading, listed

USUAL = {
    "text": ("text", "review", "sentence", "content", "comment", "message", "document", "body",
             "tweet", "description", "utterance", "question", "reviewtext"),
    "label": ("label", "sentiment", "class", "category", "target", "labels", "topic", "intent",
              "rating", "stars", "polarity", "overall"),
}  # fmt: skip
Kinds = tuple[str, ...]
BOTH: Kinds = tuple(USUAL)  # the kinds of columns that an error asks the user to name


class Columns(NamedTuple):
    """Places of the columns in a row.

    Attributes
    ----------
    text : of one column or several, whose texts are joined.
    label : of the column.
    names : such as ("title,description", "class"); None if the file has no names for columns.
    """

    text: list[int]
    label: int
    names: tuple[str, str] | None


def find_columns(rows: FileRows, how: Reading) -> Columns:
    """Return the columns of text and label.

    A column that the user does not name has a usual name, or is the other one of two. If the file
    has no names of its own, names are ignored. Raises ValueError if a column is missing, is there
    twice, or is not clear.
    """
    text = _find_text(rows, how.text_column, BOTH)
    label = _find(rows, how.label_column, "label", BOTH)
    named = [n for n, name in enumerate(rows.columns) if name]
    if len(named) == 2 and (text is None) != (label is None):
        taken = text if label is None else [label]
        others = [n for n in named if n not in (taken or [])]
        if len(others) == 1:
            text, label = text or others, others[0] if label is None else label
    if text is None:
        raise _unknown(rows, "text", BOTH)
    if label is None:
        raise _unknown(rows, "label", BOTH)
    if label in text:
        name = rows.columns[label][:LONGEST]
        raise ValueError(f"{rows.path}: {name!r} cannot be both the text and the label column")
    names = ",".join(rows.columns[n] for n in text), rows.columns[label]
    return Columns(text, label, names if rows.own_names else None)


def find_text(rows: FileRows, given: str | None) -> list[int]:
    """Return the places of the columns of the text: as `find_columns`, or the only column."""
    found = _find_text(rows, given, ("text",))
    named = [n for n, name in enumerate(rows.columns) if name]
    if found is None and len(named) != 1:
        raise _unknown(rows, "text", ("text",))
    return named if found is None else found


def _find_text(rows: FileRows, given: str | None, kinds: Kinds) -> list[int] | None:
    if given is not None and rows.own_names and given not in rows.columns and "," in given:
        return [_place(rows, name.strip(), "text", kinds) for name in given.split(",")]
    place = _find(rows, given, "text", kinds)
    return None if place is None else [place]


def text_of(rows: FileRows, number: int, values: list[object], places: Sequence[int]) -> str:
    """Return the text of a row, joined by spaces if it has several columns.

    Raises ValueError if a value is no text; all but one of several columns may lack a value.
    """
    found = [values[n] if n < len(values) else ABSENT for n in places]
    if len(places) == 1 and isinstance(found[0], str):
        return found[0]
    if len(places) > 1:
        found = [value for value in found if value is not None and value is not ABSENT] or found
    for n, value in zip(places, found, strict=False):
        if value is ABSENT:
            raise absent(rows, number, values, n)
        if not isinstance(value, str):
            name = rows.columns[n][:LONGEST]
            raise ValueError(f"{rows.place(number)}: {name!r} is {shown(value)}, expected text")
    return " ".join(map(str, found))


def absent(rows: FileRows, number: int, values: list[object], place: int) -> ValueError:
    """Return the error for a row that lacks a value."""
    there = [n for n, v in zip(rows.columns, values, strict=False) if v is not ABSENT]
    return ValueError(
        f"{rows.place(number)} has no {rows.columns[place][:LONGEST]!r}; it has {listed(there)}"
    )


def _find(rows: FileRows, given: str | None, kind: str, kinds: Kinds) -> int | None:
    if given is not None and rows.own_names:
        return _place(rows, given, kind, kinds)
    by_name = {name.lower(): name for name in reversed(rows.columns)}
    found = next((by_name[name] for name in USUAL[kind] if name in by_name), None)
    return None if found is None else _place(rows, found, kind, kinds)


def _place(rows: FileRows, name: str, kind: str, kinds: Kinds) -> int:
    """Return the place of a named column, which must be there once."""
    if name not in rows.columns:
        raise ValueError(
            f"{rows.path} has no column {name!r}; its columns are {listed(rows.columns)}: name one "
            f"with {kind}_column={header_hint(rows, kinds)}"
        )
    if rows.columns.count(name) > 1:
        raise ValueError(f"{rows.path} has two columns of the same name: {name[:LONGEST]}")
    return rows.columns.index(name)


def _unknown(rows: FileRows, kind: str, kinds: Kinds) -> ValueError:
    return ValueError(
        f"{rows.path} has no column that is surely the {kind}; name it with {kind}_column=: its "
        f"columns are {listed(rows.columns)}{header_hint(rows, kinds)}"
    )
