"""Reading the reviews of a source: archive, folder, CSV or bundled sample."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fastlstm.counts import count_of
from fastlstm.files.opening import open_file, read_bytes
from fastlstm.text.corpus import Texts
from fastlstm.text.marks import normalize_with_marks
from fastlstm.text.sources import CLASSES, LABELLED, SPLITS, UNLABELLED, Places, Source
from fastlstm.text.tokenizer import WORD, normalize
from fastlstm.text.word_codes import decode

_LONGEST = 1 << 20  # bytes of a review; the longest real one has less than 16,000
_SENTIMENTS = {"negative": 0, "positive": 1}
Normal = Callable[[bytes], str]


class Review(NamedTuple):
    """One review of the official layout ``split/label/name.txt``."""

    split: str
    label: str
    name: str
    raw: bytes


def read_texts(source: Source, analyzer: str = WORD, *, marks: bool = False) -> tuple[Texts, Texts]:
    """Read the training and the test reviews, normalized for an analyzer, perhaps with `marks`.

    They are in order of class, negative first, and of file name. A CSV keeps its order: the first
    half is for training. Raises FileNotFoundError if a part of a folder is missing, ValueError if
    the source is damaged, half a download, not UTF-8, or lacks the expected columns.
    """
    normal = _normal(analyzer, marks)
    if source.kind == "csv":
        return _read_csv(source.path, normal)
    parts = {split: Texts([], []) for split in SPLITS}
    for split, label, _, text in _in_order(source, LABELLED, normal):
        parts[split].texts.append(text)
        parts[split].labels.append(CLASSES.index(label))
    return parts["train"], parts["test"]


def read_unlabelled(source: Source, analyzer: str = WORD, *, marks: bool = False) -> list[str]:
    """Read the reviews without a label, normalized likewise, in order of file name.

    Raises ValueError if the source is damaged, not UTF-8, or of a kind that has none, and
    FileNotFoundError if it lacks them.
    """
    if source.kind not in ("archive", "folder"):
        raise ValueError(
            f"source {source.path} has no unlabelled reviews; only the official archive and its "
            "extracted folder have"
        )
    found = _in_order(source, UNLABELLED, _normal(analyzer, marks))
    if not found:
        raise FileNotFoundError(f"{source.path} holds no reviews in train/unsup")
    return [text for *_, text in found]


def _normal(analyzer: str, marks: bool) -> Normal:
    return partial(normalize_with_marks if marks else normalize, analyzer=analyzer)


def _in_order(source: Source, places: Places, normal: Normal) -> list[tuple[str, str, str, str]]:
    """Return split, label, file name and normalized text of each review, sorted."""
    found = []
    for split, label, name, raw in READERS[source.kind](source.path, places):
        try:
            found.append((split, label, name, normal(raw)))
        except UnicodeDecodeError as error:
            place = f"{split}/{label}/{name} in {source.path}"
            raise ValueError(f"{place} is not UTF-8 text: {error}") from error
    return sorted(found)


def read_folder(folder: Path, places: Places = LABELLED) -> Iterator[Review]:
    """Yield the reviews of an extracted archive."""
    for split, label in places:
        place = folder / split / label
        if not place.is_dir():
            raise FileNotFoundError(f"{place} does not exist: {folder} is incomplete")
        for name in os.listdir(place):
            if _is_review(name):
                yield Review(split, label, name, read_bytes(f"{place}{os.sep}{name}"))


def read_archive(path: Path, places: Places = LABELLED) -> Iterator[Review]:
    """Yield the reviews of the archive, without unpacking it to disk."""
    try:
        with open_file(path) as file, gzip.open(file, "rb") as stream:
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
                yield from _reviews_of(archive, places)
            while stream.read(1 << 20):  # gzip compares its checksum at the end
                continue
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise ValueError(
            f"{path} is damaged or half a download: {error}; fetch it again"
        ) from error


def _reviews_of(archive: tarfile.TarFile, places: Places) -> Iterator[Review]:
    for member in archive:
        archive.members.clear()  # type: ignore[attr-defined]  # to save memory
        split, label, name = ["", "", *member.name.split("/")][-3:]
        if (split, label) in places and _is_review(name) and member.isreg():
            content = archive.extractfile(member)
            assert content is not None  # as the member is a regular file
            yield Review(split, label, name, content.read())


class _Member(tarfile.TarInfo):
    """A member with a strict header; tarfile takes a damaged one for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Member:
        """Read the next member; only zeros are the end."""
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # not in the stubs
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error

    def _proc_member(self, archive: tarfile.TarFile) -> _Member:
        """Go on from a header, also from one that only tells more of the next."""
        if not 0 <= self.size <= _LONGEST and (not self.isreg() or _is_review(self.name)):
            raise tarfile.ReadError(
                f"{self.name!a} has {count_of(self.size, 'byte')}, which no review has"
            )
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def _is_review(name: str) -> bool:
    """Whether a file is a review, and not one that macOS adds."""
    return name.endswith(".txt") and not name.startswith(".")


def read_sample(path: Path, places: Places = LABELLED) -> Iterator[Review]:
    """Yield the reviews of the bundled sample, lines of ``split/label/name<TAB>text``."""
    with open_file(path) as packed, bz2.open(packed) as file:
        for line in decode(file.read()).removesuffix(b"\n").split(b"\n"):
            name, raw = line.split(b"\t")
            split, label, file_name = name.decode().split("/")
            if (split, label) in places:
                yield Review(split, label, file_name, raw)


READERS = {"archive": read_archive, "folder": read_folder, "sample": read_sample}
"""By kind of source, of those in the official layout."""


def _read_csv(path: Path, normal: Normal) -> tuple[Texts, Texts]:
    texts, labels = [], []
    try:
        with open_file(path) as file:
            rows = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
            if rows.fieldnames is None:
                raise ValueError(f"{path} is empty, expected the columns review and sentiment")
            missing = {"review", "sentiment"} - set(rows.fieldnames)
            if missing:
                raise ValueError(
                    f"{path} has the columns {rows.fieldnames}, lacks {sorted(missing)}"
                )
            for row in rows:
                texts.append(normal((row["review"] or "").encode("utf-8")))
                labels.append(_SENTIMENTS[row["sentiment"]])
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    except csv.Error as error:
        raise ValueError(f"{path} line {rows.line_num} is not CSV: {error}") from error
    except KeyError as error:
        raise ValueError(
            f"{path} line {rows.line_num} has sentiment {error}, expected positive or negative"
        ) from error
    half = len(texts) // 2
    return Texts(texts[:half], labels[:half]), Texts(texts[half:], labels[half:])
