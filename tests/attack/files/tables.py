"""Damaged tables and JSON lines, read as the command line reads them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from attack.files import mutate, structure
from attack.files.outcome import read
from attack.fuzz.draw import Rng, chance, pick
from fastlstm.text import labelled, load_imdb, load_language
from fastlstm.text.labelled import Reading
from fastlstm.text.pair_files import read_pairs

WORDS = (
    "a great film",
    "it's bad; awful",
    'he said "no"',
    "café, naïve",
    "two\nlines",
    "日本語",
    "",
)
LABELS = ("pos", "neg", "1", "2", "3.0", "true")


def _rows(rng: Rng) -> list[tuple[str, str]]:
    return [(pick(rng, WORDS), pick(rng, LABELS)) for _ in range(int(rng.integers(2, 12)))]


def _table(rng: Rng, delimiter: str) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator=pick(rng, ("\n", "\r\n")))
    columns = pick(
        rng, (("text", "label"), ("review", "sentiment"), ("v1", "v2"), ("text", "text"))
    )
    extra = int(rng.integers(3))
    if not chance(rng, 5):
        writer.writerow([*columns, *[""] * extra])
    writer.writerows([(*row, *["x"] * extra) for row in _rows(rng)])
    encoding = pick(rng, ("utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"))
    return file.getvalue().encode(encoding, "replace")


def _reading(rng: Rng) -> Reading:
    return Reading(
        text_column=pick(rng, (None, None, "text", "1", "v2", "")),
        label_column=pick(rng, (None, None, "label", "2", "v1")),
        encoding=pick(rng, (None, None, None, "utf-8", "cp1252", "utf-16", "shift_jis")),
        delimiter=pick(rng, (None, None, ",", ";", "\t", "|")),
        header=not chance(rng, 4),
        quotes=not chance(rng, 4),
    )


def _check(found: Any) -> None:
    """What was read fits together: as many labels as texts, each label with letters in it."""
    if found is None:
        return
    assert len(found.texts) == len(found.labels) > 0, "texts and labels differ in number"
    assert all(isinstance(text, str) for text in found.texts), "a text is no text"
    assert all(label.strip() for label in found.labels), "an empty label"


def _read(rng: Rng, folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.write_bytes(data)
    _check(read(lambda: labelled.read_labelled(path, _reading(rng)), path))


def _other(rng: Rng, folder: Path, data: bytes) -> None:
    """The same bytes to the other readers of tables and texts."""
    path = folder / pick(rng, ("IMDB Dataset.csv", "pairs.tsv", "text.txt"))
    path.write_bytes(data)
    if path.suffix == ".csv":
        read(lambda: load_imdb(path, cache=False, vocab_size=50), path)
    elif path.suffix == ".tsv":
        read(lambda: read_pairs(path), path)
    else:
        read(lambda: load_language(path, level=pick(rng, ("char", "word"))), path)


def tables(rng: Rng, folder: Path) -> None:
    """A damaged table."""
    if chance(rng, 5):
        _other(rng, folder, mutate.mutated(rng, _table(rng, pick(rng, (",", "\t")))))
        return
    ending, delimiter = pick(rng, ((".csv", ","), (".csv", ";"), (".tsv", "\t"), (".tab", "\t")))
    _read(rng, folder, f"table{ending}", mutate.mutated(rng, _table(rng, delimiter)))


def json_lines(rng: Rng, folder: Path) -> None:
    """Damaged JSON lines: values changed, or bytes."""
    lines: list[Any] = [{"text": text, "label": label} for text, label in _rows(rng)]
    if chance(rng, 2):
        at = int(rng.integers(len(lines)))
        lines[at] = structure.changed(rng, lines[at])
    if chance(rng, 6):
        data = json.dumps(lines, indent=pick(rng, (None, 1))).encode()
    else:
        data = "\n".join(json.dumps(line) for line in lines).encode()
    if chance(rng, 2):
        data = mutate.mutated(rng, data)
    _read(rng, folder, f"lines{pick(rng, ('.jsonl', '.ndjson', '.json'))}", data)
