"""Surnames by language: read from files, or made up where there are none at hand."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np

from fastlstm.counts import count_of
from fastlstm.files.opening import read_text
from fastlstm.text import Encoded, Vocabulary

Names = dict[str, list[str]]  # by language


class NamesError(ValueError):
    """The names of a folder are not what is expected."""


def make_names() -> Names:
    """Return made-up names of 18 languages: distinct, sorted and always the same.

    A name is a beginning, up to two syllables and an ending of its language: something to learn,
    but nothing to learn languages from. As in real collections some languages have many names and
    some few, and neighbours share endings.
    """
    rng = np.random.default_rng(0)
    made: Names = {}
    table = files("fastlstm") / "examples" / "data" / "made_up_names.tsv"
    for line in table.read_text(encoding="utf-8").splitlines()[1:]:
        language, count, *parts = line.split("\t")
        beginnings, syllables, endings = (part.split() for part in parts)
        names: set[str] = set()
        while len(names) < int(count):
            middle: list[str] = [*rng.choice(syllables, rng.integers(3))] if syllables else []
            names.add("".join([rng.choice(beginnings), *middle, rng.choice(endings)]))
        made[language] = sorted(names)
    return made


def read_names(folder: Path, write: Callable[[str], str]) -> Names:
    """Return the distinct names of each file LANGUAGE.txt, a name a line.

    Parameters
    ----------
    folder : of the files.
    write : how a name is written, `to_ascii` or as it is.

    Raises
    ------
    NamesError
        If it is no folder, there are fewer than two languages, or names of one, or a file is not
        UTF-8.
    """
    if not folder.is_dir():
        raise NamesError(f"{folder} is no folder, expected one with files LANGUAGE.txt")
    found: Names = {}
    for path in sorted(folder.glob("*.txt")):
        try:
            lines = read_text(path).splitlines()
        except ValueError as error:
            raise NamesError(str(error)) from error
        names = {write(line).strip() for line in lines} - {""}
        if len(names) < 2:
            raise NamesError(f"{path} has {len(names)} names, expected at least 2")
        found[path.stem] = sorted(names)
    if len(found) < 2:
        raise NamesError(
            f"{folder} has {count_of(len(found), 'file')} LANGUAGE.txt, expected at least 2"
        )
    return found


def to_ascii(name: str) -> str:
    """Return a name without accents, and without letters that ASCII has nothing alike for."""
    parts = unicodedata.normalize("NFD", name)
    return parts.encode("ascii", "ignore").decode("ascii")


def split(names: Names, seed: int) -> tuple[Names, Names]:
    """Return the names to learn and a tenth of each language, at least one name, to test."""
    rng, learned, tested = np.random.default_rng(seed), {}, {}
    for language, all_names in names.items():
        order = [all_names[i] for i in rng.permutation(len(all_names))]
        held_back = max(1, round(len(order) / 10))
        learned[language], tested[language] = order[held_back:], order[:held_back]
    return learned, tested


def encode(names: Names, letters: Vocabulary) -> Encoded:
    """Return names as letters, with the numbers of their languages."""
    rows = [[letters.id(c) for c in name] for group in names.values() for name in group]
    labels = np.repeat(np.arange(len(names)), [len(group) for group in names.values()])
    return Encoded.from_rows(rows, labels)
