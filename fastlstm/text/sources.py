"""The files and folders that may hold the IMDB reviews, and how they are recognised."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from fastlstm.files.naming import named_path

ARCHIVE_NAME = "aclImdb_v1.tar.gz"
FOLDER_NAME = "aclImdb"
CSV_NAME = "IMDB Dataset.csv"
KERAS_NAME = "imdb.npz"
SAMPLE_PATH = Path(__file__).with_name("data") / "imdb_sample.coded.bz2"

_KINDS = {".tar.gz": "archive", ".tgz": "archive", ".csv": "csv", ".npz": "keras"}

SPLITS = ("train", "test")
CLASSES = ("neg", "pos")  # the position is the label

Places = tuple[tuple[str, str], ...]  # folders ``split/label`` of the official layout
LABELLED: Places = tuple((split, label) for split in SPLITS for label in CLASSES)
UNLABELLED: Places = (("train", "unsup"),)

_EXPECTED = (
    f"expected the official archive ({ARCHIVE_NAME}), its extracted folder {FOLDER_NAME} "
    f"(or the folder around it), the Kaggle CSV (columns review,sentiment), Keras's {KERAS_NAME}, "
    'or "sample" for the bundled sample'
)


class Source(NamedTuple):
    """A file or folder with reviews."""

    kind: str  # "archive", "folder", "csv", "keras" or "sample"
    path: Path

    def identity(self, places: Places = LABELLED) -> str:
        """Return a text that changes with the size or time of the file, or of those in `places`."""
        if self.kind != "folder":
            status = self.path.stat()
            return f"{self.kind}-{status.st_size}-{status.st_mtime_ns}"
        digest = hashlib.sha256()
        for split, name in places:
            place = self.path / split / name
            if not place.is_dir():  # reading it raises an error
                continue
            with os.scandir(place) as entries:
                rows = [(e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in entries]
            digest.update(repr(sorted(rows)).encode("utf-8", "surrogateescape"))
        return f"folder-{digest.hexdigest()}"


def find_source(source: str | os.PathLike[str]) -> Source:
    """Recognise "sample", or the path of a source or of a folder with one under its usual name.

    Raises FileNotFoundError if there is nothing, or a folder holds no reviews, and ValueError if
    the file is of no known kind.
    """
    if source == "sample":
        return Source("sample", SAMPLE_PATH)
    path = named_path(source, "source")
    if not path.exists():
        raise FileNotFoundError(f"source {str(path)!r} does not exist; {_EXPECTED}")
    if path.is_dir():
        found = look_in(path)
        if found is None:
            raise FileNotFoundError(f"source {str(path)!r} holds no IMDB reviews; {_EXPECTED}")
        return found
    for ending, kind in _KINDS.items():
        if path.name.lower().endswith(ending):
            return Source(kind, path)
    if path.name.endswith((".part", ".tmp", ".crdownload")):
        raise ValueError(f"source {str(path)!r} looks like half a download; {_EXPECTED}")
    raise ValueError(f"source {str(path)!r} is of no known kind; {_EXPECTED}")


def look_in(folder: Path) -> Source | None:
    """Return the source that a folder is, or holds under its usual name, or None."""
    for path in (folder, folder / FOLDER_NAME):
        if any((path / split).is_dir() for split in SPLITS):
            return Source("folder", path)
    files = (folder / name for name in (ARCHIVE_NAME, CSV_NAME, KERAS_NAME))
    return next((find_source(path) for path in files if path.is_file()), None)
