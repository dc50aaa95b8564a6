"""Folders of texts: a sub-folder for each class, or a file for each class."""

from __future__ import annotations

from pathlib import Path

from .lines import read_lines

_CLASS_FILES = (".pos", ".neg")  # as in rt-polarity.pos


def read_class_folder(folder: Path, encoding: str | None) -> tuple[list[str], list[str]]:
    """Return the texts of a folder and the name of each one's class.

    The sub-folders are the classes and their ``.txt`` files the texts. Where there are none, files
    that end in ``.pos`` and ``.neg`` are the classes "pos" and "neg", and their lines the texts.
    Raises ValueError if there are no texts, or one cannot be decoded: see `lines.lines_of`.
    """
    texts: list[str] = []
    labels: list[str] = []
    for place in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        for file in sorted(place.glob("*.txt")):
            if not _is_shadow(file):
                texts.append("".join(read_lines(file, encoding)))
                labels.append(place.name)
    if texts:
        return texts, labels
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in _CLASS_FILES and not _is_shadow(file):
            lines = [line.strip() for line in read_lines(file, encoding)]
            texts += filter(None, lines)
            labels += [file.suffix.lower()[1:]] * (len(texts) - len(labels))
    if not texts:
        raise ValueError(_nothing_in(folder))
    return texts, labels


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
