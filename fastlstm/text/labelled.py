"""Labelled texts of any user: tables, JSON lines, or a folder for each class."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .lines import read_lines
from .tables import read_table

TEXT_COLUMNS = (
    "text", "review", "sentence", "content", "comment", "message", "document", "body", "tweet",
    "description", "utterance", "question",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "sentiment", "class", "category", "target", "labels", "topic", "intent", "rating",
    "stars", "polarity",
)  # fmt: skip

_TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_JSON_LINES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class Reading:
    """How labelled texts are read; see `TextConfig` for what the fields mean."""

    text_column: str | None = None
    label_column: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    quotes: bool = True


class LabelledTexts(NamedTuple):
    """Raw texts and the name of each one's class.

    Attributes
    ----------
    texts, labels : [N].
    columns : which columns they were in: (text, label); None for a folder.
    """

    texts: list[str]
    labels: list[str]
    columns: tuple[str, str] | None


def read_labelled(path: str | Path, how: Reading | None = None) -> LabelledTexts:
    """Read the texts of a file or folder with their classes.

    Parameters
    ----------
    path : ``.csv``, ``.tsv`` or ``.tab``, or any other name with a delimiter given: a table;
        ``.jsonl``, ``.ndjson`` or ``.json``: a JSON object on each line; a folder: its folders
        are the classes, their ``.txt`` files the texts.
    how : the columns, encoding and so on.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If it is empty, of no known kind, cannot be decoded, lacks a column or a label, or is
        damaged; names the file and, where there is one, the line.
    """
    path, how = Path(path).expanduser(), how or Reading()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        return _read_folder(path, how)
    ending = path.suffix.lower()
    if ending in _JSON_LINES:
        return _read_json_lines(path, how)
    delimiter = how.delimiter or _TABLES.get(ending)
    if delimiter is None:
        raise ValueError(
            f"{path} is of no known kind: expected a name that ends in "
            f"{', '.join([*_TABLES, *_JSON_LINES])}, a --delimiter, or a folder"
        )
    return _read_rows(path, how, delimiter)


def _read_rows(path: Path, how: Reading, delimiter: str) -> LabelledTexts:
    table = read_table(path, delimiter, how.encoding, header=how.header, quotes=how.quotes)
    text, label = (table.columns.index(name) for name in _columns(path, table.columns, how))
    texts, labels = [], []
    for number, row in table.rows:
        texts.append(row[text])
        labels.append(_label(path, number, row[label]))
    return _checked(path, texts, labels, (table.columns[text], table.columns[label]))


def _read_json_lines(path: Path, how: Reading) -> LabelledTexts:
    texts: list[str] = []
    labels: list[str] = []
    columns: tuple[str, str] | None = None
    for number, value in _json_objects(path, how.encoding):
        columns = columns or _columns(path, list(value), how)
        text, label = (_value(path, number, value, name) for name in columns)
        if not isinstance(text, str):
            raise ValueError(
                f"{path} line {number}: {columns[0]!r} is {json.dumps(text)[:50]}, expected text"
            )
        texts.append(text)
        labels.append(_label(path, number, label))
    return _checked(path, texts, labels, columns)


def _json_objects(path: Path, encoding: str | None) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in enumerate(read_lines(path, encoding), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path} line {number} is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise ValueError(
                f"{path} line {number} is {line.strip()[:50]}, expected a JSON object on each line"
            )
        yield number, value


def _value(path: Path, number: int, value: dict[str, object], name: str) -> object:
    if name not in value:
        raise ValueError(f"{path} line {number} has no {name!r}; it has {_listed(list(value))}")
    return value[name]


def _read_folder(folder: Path, how: Reading) -> LabelledTexts:
    texts: list[str] = []
    labels: list[str] = []
    for place in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        for file in sorted(place.glob("*.txt")):
            if not file.name.startswith("."):  # macOS leaves a shadow of each file
                texts.append("".join(read_lines(file, how.encoding)))
                labels.append(place.name)
    if not texts:
        deeper = sorted({file.parents[1] for file in folder.glob("*/*/*.txt")})
        hint = f"; did you mean {' or '.join(map(str, deeper[:3]))}?" if deeper else ""
        raise ValueError(
            f"{folder} holds no texts: expected a folder for each class with .txt files in it, as "
            f"{folder / 'sport' / '1.txt'}{hint}"
        )
    return LabelledTexts(texts, labels, None)


def _columns(path: Path, columns: Sequence[str], how: Reading) -> tuple[str, str]:
    """Return the names of the text and the label column."""
    text = _column(path, columns, "text", how.text_column, TEXT_COLUMNS)
    label = _column(path, columns, "label", how.label_column, LABEL_COLUMNS)
    if text == label:
        raise ValueError(f"{path}: {text!r} cannot be both the text and the label column")
    return text, label


def _column(
    path: Path, columns: Sequence[str], kind: str, given: str | None, usual: Sequence[str]
) -> str:
    if given is not None:
        if given in columns:
            return given
        raise ValueError(f"{path} has no column {given!r}; its columns are {_listed(columns)}")
    by_name = {name.lower(): name for name in reversed(columns)}
    for name in usual:
        if name in by_name:
            return by_name[name]
    raise ValueError(
        f"{path} has no column that is surely the {kind}; name it with --{kind}-column: its "
        f"columns are {_listed(columns)}"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _label(path: Path, number: int, value: object) -> str:
    """Return a label as a name; numbers are spelled as in JSON."""
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError(f"{path} line {number} has no label: it is {json.dumps(value)[:50]}")


def _checked(
    path: Path, texts: list[str], labels: list[str], columns: tuple[str, str] | None
) -> LabelledTexts:
    if not texts:
        raise ValueError(f"{path} is empty: it has no texts")
    return LabelledTexts(texts, labels, columns)
