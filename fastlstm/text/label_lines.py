"""Lines that begin with their label: ``__label__spam text``, as for fastText, or ``spam text``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fastlstm.text.rows import FileRows, Row

MARK = "__label__"


def label_line_rows(path: Path, lines: Iterator[str]) -> FileRows:
    """Return the label, without fastText's mark, and the text of each line that is not blank.

    The rows raise ValueError if a line has more than one marked label, or none where others have.
    """
    return FileRows(path, ["label", "text"], _read(path, lines), own_names=False)


def _read(path: Path, lines: Iterator[str]) -> Iterator[Row]:
    marked = None
    for number, line in enumerate(lines, 1):
        words = line.split(maxsplit=1)
        if not words:
            continue
        label, text = words[0], words[1].rstrip() if len(words) > 1 else ""
        if marked is None:
            marked = label.startswith(MARK)
        if marked:
            _check(f"{path} line {number}", label, text)
            label = label.removeprefix(MARK)
        yield number, [label, text]


def _check(place: str, label: str, text: str) -> None:
    if not label.startswith(MARK):
        raise ValueError(f"{place} begins with {label[:50]!r}, expected {MARK} and a label")
    if text.startswith(MARK):
        raise ValueError(
            f"{place} has more than one label; a text is of one class here: leave one on each "
            f"line, such as the first (sed -E 's/({MARK}[^ ]+)( {MARK}[^ ]+)+/\\1/')"
        )
