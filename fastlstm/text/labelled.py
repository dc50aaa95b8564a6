"""Labelled texts of a user: a file of one of many kinds, or a folder for each class."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

from fastlstm.notices import FastlstmWarning

from .class_folders import read_class_folder
from .json_rows import shown
from .labels import class_name
from .row_kinds import read_rows
from .rows import ABSENT, FileRows, Reading
from .which_columns import Columns, absent, find_columns, text_of

_LISTED = 5  # rows without a label that an error names


class QuotedRowsWarning(FastlstmWarning):
    """A text in quotes seems to hold rows of its table."""


class LabelledTexts(NamedTuple):
    """Raw texts and the name of each one's class."""

    texts: list[str]
    labels: list[str]
    columns: tuple[str, str] | None  # names of the columns of text and label, where they have names


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
    path, how = Path(path).expanduser(), how or Reading()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        texts, folders = read_class_folder(path, how.encoding)
        return LabelledTexts(texts, [_folder_name(path, name) for name in folders], None)
    rows = read_rows(path, how)
    columns = find_columns(rows, how)
    texts, labels = _read(rows, columns)
    if not texts:
        raise ValueError(f"{path} is empty: it has no texts")
    return LabelledTexts(texts, labels, columns.names)


def _read(rows: FileRows, columns: Columns) -> tuple[list[str], list[str]]:
    """Return the texts and the names of their classes, see `class_name`."""
    texts, labels, missing, spanning = [], [], [], []
    label_at = columns.label
    for number, values in rows.rows:
        texts.append(text_of(rows, number, values, columns.text))
        label = values[label_at] if label_at < len(values) else ABSENT
        if label is ABSENT:
            raise absent(rows, number, values, label_at)
        try:
            name = class_name(label)
        except ValueError as error:
            raise ValueError(f"{rows.place(number)}: the label is {error}") from error
        if rows.delimiter and "\n" in texts[-1]:
            spanning.append((number, texts[-1]))
        if name is None:
            missing.append((number, label))
        else:
            labels.append(name)
    if missing:
        raise ValueError(_without_label(rows, missing))
    _warn_of_quoted_rows(rows, label_at, set(labels), spanning)
    return texts, labels


def _warn_of_quoted_rows(
    rows: FileRows, label_at: int, classes: set[str], spanning: list[tuple[int, str]]
) -> None:
    """Warn if a text has a line with as many fields as a row, and a known class among them."""

    def looks_like_row(line: str) -> bool:
        fields = line.split(rows.delimiter)
        return len(fields) == len(rows.columns) and class_name(fields[label_at]) in classes

    found = [n for n, text in spanning if any(map(looks_like_row, text.split("\n")[1:]))]
    if found:
        warnings.warn(
            f"{rows.place(found[0])}: the text in quotes goes on over lines that look like rows of "
            f"the table ({len(found):,} such texts); if its quote is a character, give "
            "quotes=False",
            QuotedRowsWarning,
            stacklevel=4,
        )


def _folder_name(path: Path, name: str) -> str:
    """Return the class of a folder within `path`; a folder called "nan" is no missing label."""
    try:
        return class_name(name) or name
    except ValueError as error:
        raise ValueError(f"{path}: the name of a folder is {error}") from error


def _without_label(rows: FileRows, missing: list[tuple[int, object]]) -> str:
    number, label = missing[0]
    text = f"{rows.place(number)} has no label: it is {shown(label)}"
    if len(missing) == 1:
        return text
    others = ", ".join(f"{number:,}" for number, _ in missing[1:_LISTED])
    more = ", ..." if len(missing) > _LISTED else ""
    return f"{text}; so have {rows.unit}s {others}{more} ({len(missing):,} in all)"
