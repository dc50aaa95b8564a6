"""Folders of texts: a sub-folder for each class, or a file for each class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fastlstm.text.lines import read_lines

_CLASS_FILES = (".pos", ".neg")  # as in rt-polarity.pos


def read_class_folder(folder: Path, encoding: str | None) -> Iterator[tuple[str, str]]:
    """Yield the texts of a folder, each with the name of its class.

    The sub-folders are the classes and their ``.txt`` files the texts. Where there are none, files
    that end in ``.pos`` and ``.neg`` are the classes "pos" and "neg", and their lines the texts.
    Raises ValueError if there are no texts, or one cannot be decoded: see `lines.lines_of`.
    """
    found = False
    for part in (_files_of_folders, _lines_of_files):
        for text_and_class in part(folder, encoding):
            found = True
            yield text_and_class
        if found:
            return
    raise ValueError(_nothing_in(folder))


def _files_of_folders(folder: Path, encoding: str | None) -> Iterator[tuple[str, str]]:
    for place in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        for file in sorted(place.glob("*.txt")):
            if not _is_shadow(file):
                yield "".join(read_lines(file, encoding)), place.name


def _lines_of_files(folder: Path, encoding: str | None) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in _CLASS_FILES and not _is_shadow(file):
            for line in read_lines(file, encoding):
                if line.strip():
                    yield line.strip(), file.suffix.lower()[1:]


def _is_shadow(file: Path) -> bool:
    """Whether macOS made this file beside another one."""
    return file.name.startswith(".")


def _nothing_in(folder: Path) -> str:
    deeper = {file.parents[1] for file in folder.glob("*/*/*.txt")}
    deeper |= {file.parent for end in _CLASS_FILES for file in folder.glob(f"*/*{end}")}
    hint = f"; did you mean {' or '.join(map(str, sorted(deeper)[:3]))}?" if deeper else ""
    return (
        f"{folder} holds no texts: expected a folder for each class with .txt files in it, as "
        f"{folder / 'sport' / '1.txt'}, or files with a text on each line that end in "
        f"{' and '.join(_CLASS_FILES)}{hint}"
    )
