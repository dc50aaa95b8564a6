"""A user's own labelled texts as the data of a run."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.files.naming import named_path
from fastlstm.text.corpus import Texts
from fastlstm.text.imdb import NO_LABEL
from fastlstm.text.labelled import LabelledTexts, read_labelled
from fastlstm.text.labels import in_order
from fastlstm.text.plain_texts import read_plain
from fastlstm.text.split import stratified_split
from fastlstm.text.tokenizer import choose_analyzer
from fastlstm.train.classifier.class_numbers import counted, numbers_of
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.encode import encode
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.seeds import SPLIT, generator


def load(config: TextConfig, bars: bool = False) -> Dataset:
    """Read, divide and encode the texts that the options name.

    Errors as of `read_labelled`; also ValueError if no file is named, there is only one class, a
    class is too small to be divided, or a test text has a class that training has not.
    """
    if config.data is None:
        raise ValueError("data is None, expected a file or a folder")
    found = read_labelled(config.data, config.reading)
    labels = in_order(found.labels)
    if len(labels) < 2:
        raise ValueError(
            f"{config.data} has one class only, {labels[0]!r}; expected texts of two or more"
        )
    everything = _numbered(found, labels, config.data)
    _check_sizes(found.labels, config)
    train, test = _test_part(everything, labels, config)
    more = _without_label(config)
    contents = tuple(_contents(part, labels) for part in (train, test, more) if part is not None)
    config = replace(config, analyzer=choose_analyzer(train.texts, config.analyzer))
    data = encode(train, test, more, labels, config, bars)
    options: dict[str, Any] = {
        **config.sized(len(data["train"]), len(data["train"].tokens)),
        "analyzer": config.analyzer,
        **dict(zip(("text_column", "label_column"), found.columns or (), strict=False)),
    }
    return Dataset(
        **data, labels=tuple(labels), options=options, source=_describe(found, more, config),
        contents=contents,
    )  # fmt: skip


def _numbered(found: LabelledTexts, labels: Sequence[str], source: str) -> Texts:
    return Texts(found.texts, numbers_of(found.labels, labels, source))


def _check_sizes(labels: Sequence[str], config: TextConfig) -> None:
    """Raise ValueError unless each class has a text for every part."""
    parts = ["training"]
    parts += ["validation"] if config.validation else []
    parts += ["testing"] if config.test is None and config.test_split else []
    small = Counter({k: n for k, n in Counter(labels).items() if n < len(parts)})
    if small:
        raise ValueError(
            f"{config.data} has classes of too few texts: {counted(small)}; expected at least "
            f"{len(parts)} of each, for {' and '.join(parts)}: add some, remove the class, or "
            "hold nothing back (test=FILE or test_split=0, validation=0)"
        )


def _test_part(everything: Texts, labels: Sequence[str], config: TextConfig) -> tuple[Texts, Texts]:
    """Return the texts to train on and those to test on, which may be none."""
    if config.test is not None:
        reading = config.reading
        return everything, _numbered(read_labelled(config.test, reading), labels, config.test)
    if not config.test_split:
        return everything, Texts([], [])
    rng = generator(config.seed, SPLIT, 1)  # step 0 draws the validation part
    kept, held_back = stratified_split(everything.labels, config.test_split, rng)
    return _select(everything, kept), _select(everything, held_back)


def _without_label(config: TextConfig) -> Texts | None:
    """Return the texts without a label to pretrain on, None if there are to be none.

    Raises ValueError if a file of them is named twice, or is that of the labelled ones; errors as
    of `read_plain`.
    """
    if not (config.pretrain and config.unlabelled):
        return None
    labelled = (("data", config.data), ("test", config.test))
    seen = {Path(path).resolve(): name for name, path in labelled if path is not None}
    texts: list[str] = []
    for path in config.unlabelled:
        place = named_path(path).resolve()
        if place in seen:
            raise ValueError(
                f"unlabelled is {path}, which is {seen[place]} too: expected other texts"
            )
        seen[place] = "unlabelled"
        texts += read_plain(path, config.reading)
    return Texts(texts, [NO_LABEL] * len(texts))


def _contents(part: Texts, labels: Sequence[str]) -> int:
    """Return a number that changes with any text or label."""
    crc = zlib.crc32(json.dumps([*labels, *map(int, part.labels)]).encode())
    for text in part.texts:
        crc = zlib.crc32(f"{text}\0".encode("utf-8", "surrogatepass"), crc)
    return crc


def _select(texts: Texts, rows: Iterable[np.int64]) -> Texts:
    index = [int(n) for n in rows]
    return Texts([texts.texts[n] for n in index], [texts.labels[n] for n in index])


def _describe(found: LabelledTexts, more: Texts | None, config: TextConfig) -> str:
    text = f"{Path(config.data or '').name}, {count_of(len(found.texts), 'text')}"
    if more is not None:
        text += f", {len(more.texts):,} without a label"
    return f"{text}, tested on {Path(config.test).name}" if config.test is not None else text
