"""Reading pairs of sentences: a file with tabs, or a file for each language."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastlstm.counts import count_of
from fastlstm.files.naming import named_path
from fastlstm.files.opening import read_text
from fastlstm.text.pairs import Pair, words_and_marks

HELD_BACK = 1000  # pairs for validation and for the test, each at most a tenth of the sources


class ParallelText(NamedTuple):
    """Pairs of sentences, cut into tokens."""

    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]


def read_pairs(path: str | Path, max_words: int = 0) -> list[Pair]:
    """Read the lines of a UTF-8 file: a source, a tab, a target; ignore what follows another tab.

    Pairs with a side of more than `max_words` tokens (see `words_and_marks`) are left out; 0 keeps
    all. Raises ValueError if it is not UTF-8, a line has no tab, or no pair is left.
    """
    pairs: list[Pair] = []
    for number, line in enumerate(_lines(named_path(path)), 1):
        sides = line.split("\t")
        if not line.strip():
            continue
        if len(sides) < 2:
            raise ValueError(f"{path}, line {number} has no tab, expected source<tab>target")
        pairs.append((words_and_marks(sides[0]), words_and_marks(sides[1])))
    return _short(pairs, max_words, path)


def split_pairs(pairs: list[Pair], seed: int = 0) -> ParallelText:
    """Hold back pairs for validation and test; pairs of the same source stay together.

    Raises ValueError if there are fewer than ten different sources.
    """
    sources = sorted({tuple(source) for source, _ in pairs})
    if len(sources) < 10:
        raise ValueError(f"there are {len(sources)} different sources, expected at least 10")
    count = min(HELD_BACK, len(sources) // 10)
    order = np.random.default_rng(seed).permutation(len(sources))
    part = {sources[i]: place // count for place, i in enumerate(order[: 2 * count])}
    sides = ParallelText([], [], [])
    for pair in pairs:
        sides[{0: 1, 1: 2}.get(part.get(tuple(pair[0]), 2), 0)].append(pair)
    return sides


def read_folder(folder: str | Path, source: str, target: str, max_words: int = 0) -> ParallelText:
    """Read a folder in the layout of Multi30k: line n of two files is pair n.

    The files are ``train*.SOURCE`` and ``train*.TARGET``, then ``val*`` and ``test_2016_flickr*``
    likewise, with spaces between the tokens. SOURCE and TARGET are languages, such as "de" and
    "en". Longer pairs of the training part than `max_words` are left out; 0 keeps all. Raises
    FileNotFoundError unless there is exactly one such file, ValueError if one is not UTF-8, or two
    have different numbers of lines.
    """
    place, parts = named_path(folder, "folder"), []
    for name in ("train", "val", "test_2016_flickr"):
        files = [_only(place, f"{name}*.{language}") for language in (source, target)]
        sides = [[line.split() for line in _lines(file)] for file in files]
        if len(sides[0]) != len(sides[1]):
            raise ValueError(
                f"{files[0]} has {count_of(len(sides[0]), 'line')} and {files[1].name} "
                f"{len(sides[1])}, expected as many"
            )
        parts.append(list(zip(*sides, strict=True)))
    return ParallelText(_short(parts[0], max_words, folder), parts[1], parts[2])


def _short(pairs: list[Pair], max_words: int, path: str | Path) -> list[Pair]:
    if max_words < 0:
        raise ValueError(f"max_words is {max_words}, expected 0 (no limit) or more")
    if max_words:
        pairs = [pair for pair in pairs if max(map(len, pair)) <= max_words]
    if not pairs:
        limit = f" of at most {count_of(max_words, 'word')}" if max_words else ""
        raise ValueError(f"{path} has no pairs{limit}")
    return pairs


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        have = ", ".join(f.name for f in found) or "none"
        raise FileNotFoundError(f"{folder} has {have}, expected one file {pattern}")
    return found[0]


def _lines(path: Path) -> list[str]:
    """Return the lines of a file; only line feeds end one, not other separators of Unicode."""
    text = read_text(path)
    return text.removesuffix("\n").split("\n") if text else []
