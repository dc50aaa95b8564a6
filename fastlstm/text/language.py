"""Texts to train a language model on: a file, a folder, or the bundled one."""

from __future__ import annotations

import bz2
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.files.naming import named_path
from fastlstm.files.opening import read_text
from fastlstm.text.symbols import Symbols

BUNDLED = Path(__file__).with_name("data") / "shakespeare.txt.bz2"
PARTS = ("train", "val", "test")
_HELD_BACK = 0.05  # of a single file, for validation and again for the test


@dataclass(frozen=True, eq=False)
class LanguageData:
    """A text as token numbers.

    Attributes
    ----------
    train, validation, test : int32 [W], the three parts.
    symbols : the tokens of the training part, which the numbers stand for.
    source : what was loaded, in words.
    """

    train: NDArray[np.int32]
    validation: NDArray[np.int32]
    test: NDArray[np.int32]
    symbols: Symbols
    source: str

    @property
    def checksum(self) -> int:
        """Changes with any token of the text."""
        crc = zlib.crc32(json.dumps(self.symbols.tokens).encode())
        for part in (self.train, self.validation, self.test):
            crc = zlib.crc32(np.ascontiguousarray(part).data, crc)
        return crc


def load_language(
    path: str | os.PathLike[str] | None = None, *, level: str = "char", size: int = 0
) -> LanguageData:
    """Load a text for a language model.

    Parameters
    ----------
    path : a UTF-8 text file, of which 90 % are for training, the next 5 % for validation and the
        last 5 % for the test; a folder with one such file, or with three, whose names contain
        "train", "val" and "test" (as ``ptb.train.txt``); None for the bundled Shakespeare.
    level : "char" or "word", see `Symbols`.
    size : the most tokens to know; 0 for all.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or a folder lacks a part.
    ValueError
        If a file is not UTF-8, a part has fewer than two tokens, or an option is out of range.
    """
    name, texts = _read(None if path is None else named_path(path))
    symbols = Symbols.from_text(texts[0], level, size)
    train, validation, test = (symbols.encode(text) for text in texts)
    for part, ids in zip(PARTS, (train, validation, test), strict=True):
        if len(ids) < 2:
            raise ValueError(
                f"{name} has {count_of(len(ids), 'token')} in its {part} part, expected at least 2"
            )
    counts = " + ".join(f"{len(ids):,}" for ids in (train, validation, test))
    unit = {"char": "characters", "word": "words"}[level]
    source = f"{name}: {counts} {unit}, {len(symbols):,} distinct"
    return LanguageData(train, validation, test, symbols, source)


def _read(path: Path | None) -> tuple[str, list[str]]:
    """Return what was read, in words, and the texts of the three parts."""
    if path is None:
        return "bundled pages of Shakespeare", _cut(bz2.decompress(BUNDLED.read_bytes()).decode())
    if not path.exists():
        raise FileNotFoundError(f"data {str(path)!r} does not exist; expected a text or a folder")
    if not path.is_dir():
        return path.name, _cut(read_text(path))
    files = sorted(p for p in path.iterdir() if p.is_file() and p.suffix in (".txt", ".tokens"))
    named = {part: [p for p in files if part in p.name.lower()] for part in PARTS}
    if all(len(found) == 1 for found in named.values()):
        return path.resolve().name, [read_text(named[part][0]) for part in PARTS]
    if len(files) == 1:
        return files[0].name, _cut(read_text(files[0]))
    found = {part: [p.name for p in some] for part, some in named.items()}
    raise FileNotFoundError(
        f"data {str(path)!r} is a folder with {found}; expected one text file (.txt) for each, "
        "or a single text file"
    )


def _cut(text: str) -> list[str]:
    """Cut a text in three, at line ends where there are some nearby."""
    ends = [_line_end(text, round(len(text) * (1 - k * _HELD_BACK))) for k in (2, 1)]
    return [text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :]]


def _line_end(text: str, near: int) -> int:
    """Return the line end before `near` if it is close, else `near`."""
    end = text.rfind("\n", 0, near) + 1
    return end if near - end < len(text) * _HELD_BACK / 2 else near
