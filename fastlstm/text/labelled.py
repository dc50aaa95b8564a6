"""Labelled texts of a user: a file of one of many kinds, or a folder for each class."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Set
from pathlib import Path
from typing import NamedTuple

from fastlstm.files.naming import named_path
from fastlstm.notices import FastlstmWarning
from fastlstm.text.class_folders import read_class_folder
from fastlstm.text.json_rows import shown
from fastlstm.text.labels import class_name
from fastlstm.text.row_kinds import read_rows
from fastlstm.text.rows import ABSENT, FileRows, Reading
from fastlstm.text.which_columns import Columns, absent, find_columns, text_of

_LISTED = 5  # rows without a label that an error names
_MOST_QUOTED = 10_000  # texts that may hold rows are looked at
_LONGEST = 200  # letters of a class that is looked for in a text


class QuotedRowsWarning(FastlstmWarning):
    """A text in quotes seems to hold rows of its table."""


class LabelledTexts(NamedTuple):
    """Raw texts and the name of each one's class."""

    texts: list[str]
    labels: list[str]
    columns: tuple[str, str] | None  # names of the columns of text and label, where they have names


class LabelledStream(NamedTuple):
    """The same, read as they are asked for; at their end come the errors that tell of all rows."""

    pairs: Iterator[tuple[str, str]]
    columns: tuple[str, str] | None


def read_labelled(path: str | Path, how: Reading | None = None) -> LabelledTexts:
    """Read the texts of a file or folder with their classes.

    Parameters
    ----------
    path : a file, see `row_kinds.read_rows`; or a folder, see `class_folders`.
    how : the columns, encoding and so on.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    OSError, ImportError
        As `read_rows`.
    ValueError
        If it is empty, of no known kind, cannot be decoded, lacks a column or a label, or is
        damaged; names the file and, where there is one, the line.

    Warns
    -----
    QuotedRowsWarning
        If a text has a line that looks like a row: its quote may be a plain character.
    """
    pairs, columns = stream_labelled(path, how)
    texts, labels = [], []
    for text, label in pairs:
        texts.append(text)
        labels.append(label)
    return LabelledTexts(texts, labels, columns)


def stream_labelled(path: str | Path, how: Reading | None = None) -> LabelledStream:
    """Open the texts of a file or folder with their classes; all else as of `read_labelled`.

    After a row without a label no more texts come; the rest is read for the message alone.
    """
    path, how = named_path(path), how or Reading()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        folder = path
        found = read_class_folder(folder, how.encoding)
        return LabelledStream(((text, _folder_name(folder, name)) for text, name in found), None)
    rows = read_rows(path, how)
    columns = find_columns(rows, how)
    return LabelledStream(_read(rows, columns), columns.names)


def _read(rows: FileRows, columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield the texts and the names of their classes, see `class_name`."""
    label_at, empty = columns.label, True
    missing: list[tuple[int, object]] = []
    lacking, classes, quoted = 0, set[str](), _QuotedRows(rows, label_at)
    for number, values in rows.rows:
        empty = False
        text = text_of(rows, number, values, columns.text)
        label = values[label_at] if label_at < len(values) else ABSENT
        if label is ABSENT:
            raise absent(rows, number, values, label_at)
        try:
            name = class_name(label)
        except ValueError as error:
            raise ValueError(f"{rows.place(number)}: the label is {error}") from error
        if name is None:
            lacking += 1
            missing += [(number, label)] if lacking <= _LISTED else []
        elif not missing:
            quoted.look(number, text)
            classes.add(name)
            yield text, name
    if missing:
        raise ValueError(_without_label(rows, missing, lacking))
    if empty:
        raise ValueError(f"{rows.path} is empty: it has no texts")
    quoted.warn(classes)


class _QuotedRows:
    """Texts that have a line with as many fields as a row; one that is a class tells a row."""

    def __init__(self, rows: FileRows, label_at: int) -> None:
        self._rows, self._label_at = rows, label_at
        self._found: list[tuple[int, frozenset[str | None]]] = []

    def look(self, number: int, text: str) -> None:
        """Note what may be classes in the lines of a text, for the first MOST_QUOTED such texts."""
        delimiter = self._rows.delimiter
        if not delimiter or "\n" not in text or len(self._found) == _MOST_QUOTED:
            return
        rows = (line.split(delimiter) for line in text.split("\n")[1:])
        fields = [row[self._label_at] for row in rows if len(row) == len(self._rows.columns)]
        names = frozenset(class_name(field) for field in fields if len(field) <= _LONGEST)
        if names:
            self._found.append((number, names))

    def warn(self, classes: Set[str]) -> None:
        """Warn if one of them is a class of the file."""
        found = [number for number, names in self._found if names & classes]
        if found:
            warnings.warn(
                f"{self._rows.place(found[0])}: the text in quotes goes on over lines that look "
                f"like rows of the table ({len(found):,} such texts); if its quote is a "
                "character, give quotes=False",
                QuotedRowsWarning,
                stacklevel=4,
            )


def _folder_name(path: Path, name: str) -> str:
    """Return the class of a folder within `path`; a folder called "nan" is no missing label."""
    try:
        return class_name(name) or name
    except ValueError as error:
        raise ValueError(f"{path}: the name of a folder is {error}") from error


def _without_label(rows: FileRows, missing: list[tuple[int, object]], count: int) -> str:
    """Return the message for so many rows without a label, of which the first are given."""
    number, label = missing[0]
    text = f"{rows.place(number)} has no label: it is {shown(label)}"
    if count == 1:
        return text
    others = ", ".join(f"{number:,}" for number, _ in missing[1:])
    more = ", ..." if count > _LISTED else ""
    return f"{text}; so have {rows.unit}s {others}{more} ({count:,} in all)"
