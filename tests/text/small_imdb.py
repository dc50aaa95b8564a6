"""What the look-alikes of the IMDB data are made of, and how they are written."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import numpy as np

GOOD = ("A great film.<br /><br />It's fun", "Great, great fun", "a fine café film", "loved it")
BAD = ("An awful film<br />boring", "Boring and awful", "not fun, not great", "It's a bore")


def write_archive(path: Path, files: dict[str, bytes], mode: str = "w:gz", **options) -> Path:
    with tarfile.open(path, mode, **options) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def write_csv(path: Path, rows: list[tuple[str, str]], columns=("review", "sentiment")) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def lists(*rows: list[int]) -> np.ndarray:
    """An array of lists, as Keras stores them."""
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array
